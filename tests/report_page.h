/* A report's page as a test sees it: read by a strict reader of XML that takes nothing from elsewhere. */
#ifndef WZ_TESTS_REPORT_PAGE_H
#define WZ_TESTS_REPORT_PAGE_H

#include "tests/program.h"
#include "tests/suite.h"

static program p;
static wz_text page;
static wz_error err;

static inline void make_place(void)
{
    program_create(&p);
}

static inline void remove_place(void)
{
    program_destroy(&p);
    wz_text_clear(&page);
}

/* ---- a strict reader: elements close in order, attributes are quoted, < and & stand for nothing else ---- */

#define NESTING 64

typedef struct reader {
    const char *at;
    char open[NESTING][24];
    size_t depth;
} reader;

/* The name at the place, [a-z0-9:-]+ without regard to case. */
static inline void take_name(reader *r, char name[24])
{
    const size_t length = strspn(r->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:");
    ASSERT_EACH(length > 0 && length < 24, "no name at: %.40s", r->at);
    memcpy(name, r->at, length);
    name[length] = '\0';
    r->at += length;
}

static inline void take_text(reader *r, const char *stops)
{
    static const char *const entities[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;", "&#183;", NULL};
    while (*r->at != '\0' && strchr(stops, *r->at) == NULL) {
        bool known = *r->at != '&';
        ASSERT_EACH(*r->at != '<', "a bare '<' in: %.40s", r->at);
        for (size_t i = 0; entities[i] != NULL; i++)
            known = known || strncmp(r->at, entities[i], strlen(entities[i])) == 0;
        ASSERT_EACH(known, "no entity: %.40s", r->at);
        r->at++;
    }
}

static inline void take_tag(reader *r)
{
    char name[24], attribute[24];
    const bool ends = r->at[1] == '/';
    r->at += ends ? 2 : 1;
    take_name(r, name);
    for (; *r->at == ' '; r->at++) {
        r->at++;
        take_name(r, attribute);
        ASSERT_EACH(strncmp(r->at, "=\"", 2) == 0, "an attribute without quotes: %.40s", r->at);
        r->at += 2;
        take_text(r, "\"");
        ASSERT_EACH(strcmp(attribute, "src") != 0 && strcmp(attribute, "href") != 0 && attribute[0] != 'o',
                    "attribute %s", attribute); /* on... would be a script */
    }
    if (strncmp(r->at, "/>", 2) == 0) {
        r->at += 2;
        return;
    }
    ASSERT_EACH(*r->at == '>', "a tag does not end: %.40s", r->at);
    r->at++;
    if (ends) {
        ASSERT_EACH(r->depth > 0 && strcmp(r->open[r->depth - 1], name) == 0, "</%s> closes <%s>", name,
                    r->depth > 0 ? r->open[r->depth - 1] : "");
        r->depth--;
        return;
    }
    ASSERT_EACH(strcmp(name, "script") != 0 && strcmp(name, "link") != 0 && strcmp(name, "iframe") != 0,
                "<%s>", name);
    ASSERT_EACH(r->depth < NESTING, "too deep");
    memcpy(r->open[r->depth++], name, sizeof name);
}

static inline void assert_page(const char *text)
{
    static const char start[] = "<!DOCTYPE html>\n";
    reader r = {.at = text};
    ck_assert_int_eq(strncmp(text, start, strlen(start)), 0);
    r.at += strlen(start);
    while (*r.at != '\0') {
        if (*r.at == '<')
            take_tag(&r);
        else
            take_text(&r, "<");
    }
    ck_assert_uint_eq(r.depth, 0);
    /* nothing from elsewhere: the only address is the name space's */
    const char *address = strstr(text, "http");
    ck_assert_ptr_nonnull(address);
    ck_assert_int_eq(strncmp(address, "http://www.w3.org/1999/xhtml\"", 29), 0);
    ck_assert_ptr_null(strstr(address + 1, "http"));
    ck_assert_ptr_null(strstr(text, "url("));
    ck_assert_ptr_null(strstr(text, "@import"));
    ck_assert_ptr_null(strstr(text, "nan"));
}

static inline void read_page(const char *name)
{
    page.length = 0;
    ck_assert_msg(wz_file_read(temporary_path(&p.where, name), 1 << 24, &page, &err) == WZ_OK, "%s",
                  err.text);
    assert_page(page.data);
}

#define ASSERT_SHOWS(piece) ck_assert_msg(strstr(page.data, piece) != NULL, "no '%s' in the page", piece)

/* How often a piece stands in the page. */
static inline int shown(const char *piece)
{
    int count = 0;
    for (const char *at = page.data; (at = strstr(at, piece)) != NULL; at++)
        count++;
    return count;
}

/* The figure of this title. */
static inline const char *figure_of(const char *title)
{
    char text[96];
    (void)snprintf(text, sizeof text, "<figcaption><b>%s</b>", title);
    const char *at = strstr(page.data, text);
    ck_assert_msg(at != NULL, "no figure '%s'", title);
    return at;
}

#endif
