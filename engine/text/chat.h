/* Chat templates: how a problem becomes the prompt of a model that was trained on conversations.
 *
 * A prompt is a system message, a message of the user with the problem, and the header of the assistant's turn: the string
 * that `apply_chat_template(messages, add_generation_prompt=True)` of Hugging Face's transformers makes of these two messages
 * for Qwen2.5 and SmolLM2 (chatml), Qwen3 (qwen3; with enable_thinking=False qwen3_no_thinking) and Llama 3 (llama3: the
 * header of Llama 3.0; the templates of 3.1 and later also tell the system the date). Without a system message those of
 * Qwen2.5 and SmolLM2 insert one of their own, here there is none.
 *
 * Where the answer's tag goes: printed problems end with the tag that opens what a policy writes, `<answer>` (compact) or
 * `<think>` (full). In a chat, a user does not open the assistant's tags, so the tag leaves the problem's text and becomes
 * the beginning of the assistant's turn, a prefill after its header: a completion is then the same text under each
 * template, and the prompt still ends with a tag, where a piece of the pre-tokenizer ends (what engine/text/grammar.h asks
 * for). Only qwen3_no_thinking has no `<think>` there: its header holds an empty thinking part already, after which the
 * completion opens `<answer>` by itself; a policy that must think first cannot use it. */
#ifndef WZ_TEXT_CHAT_H
#define WZ_TEXT_CHAT_H

#include "engine/text/tokenizer.h"

#define WZ_SYSTEM_PROMPT_MAX 2001 /* bytes of a system prompt, with its terminator */

typedef enum wz_chat_template {
    WZ_CHAT_NONE,  /* the problem as printed */
    WZ_CHAT_PLAIN, /* system prompt, blank line, problem, line feed: for models that know no conversations */
    WZ_CHAT_CHATML,
    WZ_CHAT_LLAMA3,
    WZ_CHAT_QWEN3,
    WZ_CHAT_QWEN3_NO_THINKING
} wz_chat_template;

extern const char *const wz_chat_names[]; /* by template, NULL-terminated */

/* How a policy is spoken to. */
typedef struct wz_chat {
    wz_chat_template kind;
    char system_prompt[WZ_SYSTEM_PROMPT_MAX]; /* "": the built-in one */
} wz_chat;

/* Appends the prompt up to where the assistant's turn begins, and then prefill (NULL: nothing). system_prompt NULL or "": no
 * system message. llama3 strips white space around both messages, as its template does. */
wz_status wz_chat_render(wz_chat_template chat, const char *system_prompt, const char *user,
                         const char *prefill, wz_text *out, wz_error *err);
/* The template in Jinja, for tokenizer_config.json and GGUF; of the two messages above it makes the same string. The
 * `enable_thinking` of qwen3 and qwen3_no_thinking is obeyed where it is defined. NULL for none. llama3 wants bos_token. */
const char *wz_chat_jinja(wz_chat_template chat);
/* Which of these a model's own template in Jinja is most like, by the tokens it writes; none: like none of them. */
wz_chat_template wz_chat_recognise(const char *jinja, size_t length);
/* How the assistant's turn begins, after its header, if it thinks and if it does not: "<think>" or "<answer>"; NULL where
 * nothing is to be put there. */
const char *wz_chat_prefill(wz_chat_template chat, bool thinks);
/* The built-in system prompt. */
const char *wz_chat_system_prompt(bool thinks);

/* Whether the tokenizer has the template's tokens; WZ_ERR_USAGE names one that it lacks. */
wz_status wz_chat_check(wz_chat_template chat, const wz_tokenizer *tokenizer, wz_error *err);
/* Appends the prompt of a printed problem: its closing tag, if any, becomes the prefill (see above). */
wz_status wz_chat_prompt(const wz_chat *chat, const wz_text *printed, wz_text *out, wz_error *err);
/* Appends the ids of that prompt. Special tokens are the template's own: in the problem's text and the system prompt they are
 * spelled out. Under `none` the printed text is encoded as it stands, with the tokenizer's post-processor. */
wz_status wz_chat_encode(const wz_chat *chat, const wz_tokenizer *tokenizer, const wz_text *printed,
                         wz_ids *out, wz_error *err);

#endif
