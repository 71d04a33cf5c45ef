#include "engine/text/chat.h"

#include <string.h>
#include <utf8proc.h>

const char *const wz_chat_names[] = {"none", "plain", "chatml", "llama3", "qwen3", "qwen3_no_thinking", NULL};

/* What stands around the messages. */
typedef struct chat_frame {
    const char *begin;
    const char *system[2], *user[2]; /* before and after a message */
    const char *assistant;           /* header of its turn */
    bool strips;                     /* white space around messages */
    const char *needs[4];            /* tokens */
    const char *jinja;
} chat_frame;

#define CHATML                                                                                               \
    .system = {"<|im_start|>system\n", "<|im_end|>\n"}, .user = {"<|im_start|>user\n", "<|im_end|>\n"}
#define CHATML_TURN                                                                                          \
    "{{ '<|im_start|>' + message['role'] + '\\n' + content + '<|im_end|>\\n' }}{% endfor %}"                 \
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
#define QWEN3_TURNS                                                                                          \
    "{% for message in messages %}{% set content = message['content'] %}"                                    \
    "{% if message['role'] == 'assistant' and '</think>' in content %}"                                      \
    "{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}" CHATML_TURN
#define EMPTY_THINKING "<think>\n\n</think>\n\n"

static const chat_frame frames[] = {
    [WZ_CHAT_NONE] = {.begin = "", .system = {"", ""}, .user = {"", ""}, .assistant = ""},
    [WZ_CHAT_PLAIN] = {.begin = "",
                       .system = {"", "\n\n"},
                       .user = {"", "\n"},
                       .assistant = "",
                       .jinja =
                           "{% for message in messages %}{{ message['content'] + ('\\n' if loop.last else "
                           "'\\n\\n') }}{% endfor %}"},
    [WZ_CHAT_CHATML] = {.begin = "",
                        CHATML,
                        .assistant = "<|im_start|>assistant\n",
                        .needs = {"<|im_start|>", "<|im_end|>"},
                        .jinja =
                            "{% for message in messages %}{% set content = message['content'] %}" CHATML_TURN
                            "{% endif %}"},
    [WZ_CHAT_LLAMA3] = {.begin = "<|begin_of_text|>",
                        .system = {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
                        .user = {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
                        .assistant = "<|start_header_id|>assistant<|end_header_id|>\n\n",
                        .strips = true,
                        .needs = {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                                  "<|eot_id|>"},
                        .jinja = "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
                                 "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + "
                                 "message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
                                 "{% if add_generation_prompt %}"
                                 "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"},
    [WZ_CHAT_QWEN3] = {.begin = "",
                       CHATML,
                       .assistant = "<|im_start|>assistant\n",
                       .needs = {"<|im_start|>", "<|im_end|>", "<think>", "</think>"},
                       .jinja = QWEN3_TURNS "{% if enable_thinking is defined and enable_thinking is false %}"
                                            "{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}"},
    [WZ_CHAT_QWEN3_NO_THINKING] = {.begin = "",
                                   CHATML,
                                   .assistant = "<|im_start|>assistant\n" EMPTY_THINKING,
                                   .needs = {"<|im_start|>", "<|im_end|>", "<think>", "</think>"},
                                   .jinja = QWEN3_TURNS
                                   "{% if enable_thinking is not defined or enable_thinking is false %}"
                                   "{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}"},
};

const char *wz_chat_jinja(wz_chat_template chat)
{
    return frames[chat].jinja;
}

static bool has(const char *text, size_t length, const char *part)
{
    return length > 0 && memmem(text, length, part, strlen(part)) != NULL;
}

wz_chat_template wz_chat_recognise(const char *jinja, size_t length)
{
    if (has(jinja, length, "<|start_header_id|>"))
        return WZ_CHAT_LLAMA3;
    if (!has(jinja, length, "<|im_start|>"))
        return WZ_CHAT_NONE;
    if (!has(jinja, length, "enable_thinking"))
        return WZ_CHAT_CHATML;
    return has(jinja, length, "enable_thinking is not defined") ? WZ_CHAT_QWEN3_NO_THINKING : WZ_CHAT_QWEN3;
}

static const char think_tag[] = "<think>", answer_tag[] = "<answer>";

const char *wz_chat_prefill(wz_chat_template chat, bool thinks)
{
    if (!thinks)
        return answer_tag;
    return chat == WZ_CHAT_QWEN3_NO_THINKING ? NULL : think_tag;
}

const char *wz_chat_system_prompt(bool thinks)
{
    return thinks
               ? "You solve optimisation problems of wireless networks. First reason between <think> and "
                 "</think>, then write the final answer between <answer> and </answer>, and nothing after it."
               : "You solve optimisation problems of wireless networks. Write the final answer between "
                 "<answer> and </answer>, and nothing else.";
}

/* ---- rendering ---- */

/* A prompt and where in it the messages stand. */
typedef struct rendering {
    wz_text *out;
    wz_text_range messages[2];
    size_t count;
} rendering;

/* What Python's str.strip takes away. */
static bool is_white_space(utf8proc_int32_t c)
{
    static const utf8proc_int32_t others[] = {0x20,   0x85,   0xa0,   0x1680, 0x2028,
                                              0x2029, 0x202f, 0x205f, 0x3000};
    if ((c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f) || (c >= 0x2000 && c <= 0x200a))
        return true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (c == others[i])
            return true;
    return false;
}

static void strip(const char **text, size_t *length)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)*text;
    size_t start = 0, end = 0;
    bool any = false;
    for (size_t at = 0; at < *length;) {
        utf8proc_int32_t c = 0;
        utf8proc_ssize_t step = utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(*length - at), &c);
        const size_t next = at + (step > 0 ? (size_t)step : 1);
        if (step <= 0 || !is_white_space(c)) {
            start = any ? start : at;
            end = next;
            any = true;
        }
        at = next;
    }
    *text += start;
    *length = end - start;
}

static wz_status append(const rendering *r, const char *text, wz_error *err)
{
    return wz_text_append(r->out, text, strlen(text), err);
}

static wz_status add_message(rendering *r, const chat_frame *frame, const char *const around[2],
                             const char *text, size_t length, wz_error *err)
{
    if (frame->strips)
        strip(&text, &length);
    wz_status status = append(r, around[0], err);
    r->messages[r->count].start = r->out->length;
    if (status == WZ_OK)
        status = wz_text_append(r->out, text, length, err);
    r->messages[r->count++].end = r->out->length;
    return status == WZ_OK ? append(r, around[1], err) : status;
}

static wz_status render(rendering *r, wz_chat_template chat, const char *system_prompt, const char *user,
                        size_t length, const char *prefill, wz_error *err)
{
    const chat_frame *frame = &frames[chat];
    wz_status status = append(r, frame->begin, err);
    if (status == WZ_OK && chat != WZ_CHAT_NONE && system_prompt != NULL && system_prompt[0] != '\0')
        status = add_message(r, frame, frame->system, system_prompt, strlen(system_prompt), err);
    if (status == WZ_OK)
        status = add_message(r, frame, frame->user, user, length, err);
    if (status == WZ_OK)
        status = append(r, frame->assistant, err);
    return status == WZ_OK && prefill != NULL ? append(r, prefill, err) : status;
}

wz_status wz_chat_render(wz_chat_template chat, const char *system_prompt, const char *user,
                         const char *prefill, wz_text *out, wz_error *err)
{
    rendering r = {.out = out};
    return render(&r, chat, system_prompt, user, strlen(user), prefill, err);
}

/* ---- printed problems ---- */

static bool cut_end(const char *text, size_t *length, const char *end)
{
    const size_t size = strlen(end);
    if (*length < size || memcmp(text + *length - size, end, size) != 0)
        return false;
    *length -= size;
    return true;
}

static wz_status render_printed(rendering *r, const wz_chat *chat, const wz_text *printed, wz_error *err)
{
    const char *text = printed->length > 0 ? printed->data : "", *prefill = NULL;
    size_t length = printed->length;
    if (chat->kind == WZ_CHAT_NONE)
        return render(r, chat->kind, NULL, text, length, NULL, err);
    const bool answers = cut_end(text, &length, answer_tag),
               thinks = !answers && cut_end(text, &length, think_tag);
    if (answers || thinks) {
        (void)cut_end(text, &length, "\n");
        prefill = wz_chat_prefill(chat->kind, thinks);
    }
    const char *system_prompt = chat->system_prompt;
    if (system_prompt[0] == '\0')
        system_prompt = wz_chat_system_prompt(thinks && prefill != NULL);
    return render(r, chat->kind, system_prompt, text, length, prefill, err);
}

wz_status wz_chat_prompt(const wz_chat *chat, const wz_text *printed, wz_text *out, wz_error *err)
{
    rendering r = {.out = out};
    return render_printed(&r, chat, printed, err);
}

wz_status wz_chat_encode(const wz_chat *chat, const wz_tokenizer *tokenizer, const wz_text *printed,
                         wz_ids *out, wz_error *err)
{
    wz_text text = {0};
    rendering r = {.out = &text};
    const bool is_none = chat->kind == WZ_CHAT_NONE;
    wz_status status = render_printed(&r, chat, printed, err);
    if (status == WZ_OK)
        status = wz_tokenizer_encode_quoting(tokenizer, text.data, text.length,
                                             is_none || chat->kind == WZ_CHAT_PLAIN, r.messages,
                                             is_none ? 0 : r.count, out, err);
    wz_text_clear(&text);
    return status;
}

wz_status wz_chat_check(wz_chat_template chat, const wz_tokenizer *tokenizer, wz_error *err)
{
    for (size_t i = 0; i < 4 && frames[chat].needs[i] != NULL; i++)
        if (wz_tokenizer_find(tokenizer, frames[chat].needs[i], strlen(frames[chat].needs[i])) < 0)
            return wz_fail(
                err, WZ_ERR_USAGE,
                "chat_template: %s needs the token %s, which the tokenizer does not have: choose the "
                "template of its model, plain or none",
                wz_chat_names[chat], frames[chat].needs[i]);
    return WZ_OK;
}
