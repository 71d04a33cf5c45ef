/* What a terminal shows of a run: the panel by itself, and the program in a terminal of its own. */
#include <math.h>
#include <pty.h>
#include <sys/ioctl.h>

#include "engine/run/panel.h"
#include "tests/program.h"
#include "tests/suite.h"

static program p;

static void make_place(void)
{
    program_create(&p);
}

static void remove_place(void)
{
    program_destroy(&p);
}

/* ---- a terminal: enough of one to know what stands on it, lines that scrolled away included ---- */

#define LINES 400
#define WIDTH 256

typedef struct terminal {
    int columns, row, column, last;
    char cell[LINES][WIDTH]; /* '#' for what is not ASCII */
} terminal;

static void feed_escape(terminal *t, const char **at)
{
    const long number = strtol(*at + 2, (char **)at, 10);
    switch (**at) {
    case 'A':
        t->row -= (int)number;
        ck_assert_int_ge(t->row, 0);
        break;
    case 'J':
        for (int row = t->row; row <= t->last; row++)
            memset(t->cell[row] + (row == t->row ? t->column : 0), ' ',
                   (size_t)(WIDTH - (row == t->row ? t->column : 0)));
        break;
    case 'K':
        memset(t->cell[t->row] + t->column, ' ', (size_t)(WIDTH - t->column));
        break;
    default:
        ck_assert_msg(**at == 'm', "an escape sequence ends with %c", **at);
    }
}

static void feed_line_break(terminal *t)
{
    t->row++;
    ck_assert_int_lt(t->row, LINES);
    t->last = t->row > t->last ? t->row : t->last;
}

static void feed(terminal *t, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)*at;
        if (c == '\x1b')
            feed_escape(t, &at);
        else if (c == '\r')
            t->column = 0;
        else if (c == '\n')
            feed_line_break(t);
        else if ((c & 0xc0) != 0x80) { /* the first byte of a character */
            if (t->column == t->columns) {
                t->column = 0;
                feed_line_break(t);
            }
            t->cell[t->row][t->column++] = c < 0x80 ? (char)c : '#';
        }
    }
}

static void start_terminal(terminal *t, int columns)
{
    memset(t, 0, sizeof *t);
    memset(t->cell, ' ', sizeof t->cell);
    t->columns = columns;
}

/* How many rows begin with this text. */
static int rows_with(const terminal *t, const char *text)
{
    int count = 0;
    for (int row = 0; row <= t->last; row++)
        count += strncmp(t->cell[row], text, strlen(text)) == 0;
    return count;
}

/* ---- the panel ---- */

static void make_panel(wz_panel *panel)
{
    wz_panel_start(panel);
    for (int i = 0; i < 300; i++) /* more than are kept */
        wz_panel_add_score(panel, i, i == 250 ? 0.999 : 0.5 + 0.001 * i);
    wz_panel_add_level(panel, "full", 0.4);
    wz_panel_add_level(panel, "wmmse", 0.94);
    wz_panel_add_level(panel, "nothing", NAN);
    wz_panel_add_level(panel, "adder", 0.98);
    wz_panel_add_level(panel, "random", 0.3);
    panel->reference = "optimum";
    panel->ratio = 0.75;
    panel->reward = 0.7;
    panel->entropy = 0.125;
    panel->dead_groups = 0.25;
    panel->completions_per_s = 1234.0;
    panel->size = 5;
    panel->alarms = 2;
}

START_TEST(panel_fits_every_width)
{
    wz_panel panel;
    char text[4096];
    make_panel(&panel);
    for (int columns = WZ_PANEL_COLUMNS; columns <= 200; columns++)
        for (int form = 0; form < 4; form++) {
            terminal t;
            start_terminal(&t, WIDTH - 1);
            wz_panel_write(&panel, columns, form & 1, form & 2, text, sizeof text);
            for (char *at = text; *at != '\0'; at++) { /* what a terminal's driver makes of a line break */
                const char pair[3] = {*at == '\n' ? '\r' : *at, *at == '\n' ? '\n' : '\0', '\0'};
                if (*at == '\n' || (*at & 0x80) == 0) {
                    if (*at == '\x1b') {
                        char *end = strchr(at, 'm');
                        at = end;
                    } else
                        feed(&t, pair);
                } else if ((*at & 0xc0) == 0xc0)
                    feed(&t, "#");
            }
            ASSERT_EACH(t.last == 3, "%d lines in %d columns", t.last + 1, columns);
            for (int row = 0; row <= t.last; row++)
                for (int c = columns - 1; c < WIDTH; c++)
                    ASSERT_EACH(t.cell[row][c] == ' ', "line %d is wider than %d columns: %s", row,
                                columns - 1, text);
            ASSERT_EACH((form & 1) || strchr(text, '\x1b') == NULL, "colours that were not asked for");
            ASSERT_EACH((form & 2) || strchr(text, '\xe2') == NULL, "more than ASCII");
        }
}
END_TEST

START_TEST(panel_shows_score_levels_and_course)
{
    wz_panel panel;
    char text[4096];
    make_panel(&panel);
    wz_panel_write(&panel, 120, false, false, text, sizeof text);
    /* levels: the three largest; bars of the last 64 scores, from 0.736 to 0.799 but for one of 0.999 */
    ck_assert_ptr_nonnull(
        strstr(text, "held out 0.7990  optimum 1.000  adder 0.980  wmmse 0.940  full 0.400\n"));
    ck_assert_ptr_nonnull(strstr(text, "______________#__"));
    ck_assert_ptr_nonnull(strstr(text, "  0.736 to 0.999  best 0.9990 at step 250\n"));
    ck_assert_ptr_nonnull(strstr(text,
                                 "sampled 0.7500  entropy 0.125  reward 0.7000  dead groups 25%  size 5  "
                                 "1234 completions/s\n2 alarms"));
    wz_panel_start(&panel);
    wz_panel_write(&panel, 120, false, true, text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

/* Supervised steps have neither samples nor sizes, but a score and levels may be there. */
START_TEST(panel_of_supervised_steps_shows_their_loss)
{
    wz_panel panel;
    char text[4096];
    wz_panel_start(&panel);
    panel.sft_loss = 0.3456;
    panel.sft_accuracy = 0.875;
    panel.pairs_per_s = 812.4;
    wz_panel_write(&panel, 80, false, false, text, sizeof text);
    ck_assert_str_eq(text, "supervised: loss 0.346  tokens right 88%  812 pairs/s");
    wz_panel_add_score(&panel, 10, 0.5);
    wz_panel_write(&panel, 80, false, false, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "held out 0.5000"));
    ck_assert_ptr_nonnull(strstr(text, "\nsupervised: loss 0.346"));
}
END_TEST

/* ---- the program in a terminal ---- */

/* Its output in a terminal of so many columns; from the first evaluation on, `later` columns (0: as before). more: an override,
 * or NULL. */
static int run_in_terminal(int columns, int later, bool plain, const char *more, char *out, size_t size)
{
    const struct winsize first = {.ws_row = 30, .ws_col = (unsigned short)columns};
    const struct winsize second = {.ws_row = 30, .ws_col = (unsigned short)later};
    char output[128];
    int master = -1, status = 0;
    size_t used = 0;
    (void)snprintf(output, sizeof output, "output_dir=%s/run", p.where.directory);
    const pid_t child = forkpty(&master, NULL, NULL, &first);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)setenv("TERM", "xterm", 1);
        (void)setenv("LC_ALL", "C.UTF-8", 1);
        if (plain)
            (void)setenv("NO_COLOR", "1", 1);
        else
            (void)unsetenv("NO_COLOR");
        (void)execl(WZ_PROGRAM, WZ_PROGRAM, "train", WZ_TEST_DATA "/config/tiny.yaml", output, "max_steps=40",
                    "save_steps=0", "eval_steps=10", "eval_problems=20", "threads=1", more, (char *)NULL);
        _exit(99);
    }
    for (ssize_t got; used + 1 < size && (got = read(master, out + used, size - used - 1)) > 0;) {
        used += (size_t)got;
        out[used] = '\0';
        if (later > 0 && strstr(out, "step 10: held-out") != NULL) {
            ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &second), 0);
            later = 0;
        }
    }
    out[used] = '\0';
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    (void)close(master);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

static void assert_messages_stand(const terminal *t)
{
    char line[64];
    for (int step = 10; step <= 40; step += 10) {
        (void)snprintf(line, sizeof line, "step %d: held-out objective ratio 0.", step);
        ck_assert_msg(rows_with(t, line) == 1, "'%s' stands there %d times", line, rows_with(t, line));
    }
}

START_TEST(view_in_a_terminal_leaves_the_log_whole)
{
    static const struct {
        int columns, later;
        bool plain;
    } cases[] = {{110, 0, false}, {110, 0, true}, {40, 0, false}};
    static char out[1 << 20];
    terminal t;
    ck_assert_int_eq(run_in_terminal(cases[_i].columns, 0, cases[_i].plain, NULL, out, sizeof out), 0);
    start_terminal(&t, cases[_i].columns);
    feed(&t, out);
    assert_messages_stand(&t);
    const bool has_panel = cases[_i].columns >= WZ_PANEL_COLUMNS;
    ck_assert_int_eq(rows_with(&t, "held out 0."), has_panel);
    ck_assert_int_eq(rows_with(&t, "sampled 0."), has_panel);
    ck_assert_int_eq(
        rows_with(&t, has_panel ? "[========================] step 40/40 100%" : "step 40/40 100%"), 1);
    ck_assert_int_eq(strstr(out, "\x1b[36m") != NULL, !cases[_i].plain);
    ck_assert_ptr_null(cases[_i].plain ? strstr(out, "\x1b[1m") : NULL);
    ck_assert_ptr_nonnull(has_panel ? strstr(out, "\xe2\x96\x88") : out); /* the best score's bar */
    ck_assert_int_eq(t.column, 0);                                        /* what follows begins a line */
}
END_TEST

/* Narrower from step 10 on: what stood there stays, lines after it are whole and fit. */
START_TEST(view_in_a_terminal_that_is_resized_leaves_the_log_whole)
{
    static char out[1 << 20];
    terminal t;
    ck_assert_int_eq(run_in_terminal(110, 60, false, NULL, out, sizeof out), 0);
    start_terminal(&t, 110);
    feed(&t, out);
    assert_messages_stand(&t);
    for (int row = t.last - 3; row <= t.last; row++)
        for (int c = 59; c < WIDTH; c++)
            ck_assert_msg(t.cell[row][c] == ' ', "row %d is wider than 59 columns", row);
    ck_assert_int_ge(rows_with(&t, "held out 0."), 1);
    ck_assert_int_le(rows_with(&t, "held out 0."), 2);
}
END_TEST

/* What stands there while supervised steps run, and that nothing of it is left when GRPO's are over. */
START_TEST(view_in_a_terminal_goes_from_supervised_steps_to_grpo)
{
    static char out[1 << 20];
    terminal t;
    ck_assert_int_eq(run_in_terminal(110, 0, true, "sft_steps=30", out, sizeof out), 0);
    const char *taught = strstr(out, "supervised: loss "), *sampled = strstr(out, "sampled 0.");
    ck_assert(taught != NULL && sampled != NULL && taught < sampled);
    ck_assert_ptr_nonnull(strstr(taught, " pairs/s"));
    const char *size = strstr(out, "size ");
    ck_assert(size != NULL && size > sampled);
    start_terminal(&t, 110);
    feed(&t, out);
    assert_messages_stand(&t);
    ck_assert_int_eq(rows_with(&t, "sampled 0."), 1);
    ck_assert_int_eq(rows_with(&t, "supervised"), 0);
}
END_TEST

START_TEST(view_in_a_pipe_is_plain_lines)
{
    program_succeed(&p, "train " TINY " output_dir=@/run");
    ck_assert_ptr_null(strchr(p.log, '\x1b'));
    ck_assert_ptr_null(strchr(p.log, '\r'));
    ck_assert_ptr_null(strstr(p.log, "held out"));
    ck_assert_ptr_nonnull(strstr(p.log, "\nstep 5: held-out objective ratio"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("panel");
    TCase *tests = tcase_create("panel");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, make_place, remove_place);
    tcase_add_test(tests, panel_fits_every_width);
    tcase_add_test(tests, panel_shows_score_levels_and_course);
    tcase_add_test(tests, panel_of_supervised_steps_shows_their_loss);
    tcase_add_test(tests, view_in_a_terminal_goes_from_supervised_steps_to_grpo);
    tcase_add_loop_test(tests, view_in_a_terminal_leaves_the_log_whole, 0, 3);
    tcase_add_test(tests, view_in_a_terminal_that_is_resized_leaves_the_log_whole);
    tcase_add_test(tests, view_in_a_pipe_is_plain_lines);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
