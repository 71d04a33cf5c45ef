/* Answers wireless problems with an exported policy, through llama.cpp's C API and nothing else.
 *
 *     wavezero export runs/quickstart/checkpoints/step-00000500.h5 --format gguf --type q8_0 -o policy
 *     cc -O2 answer.c -o answer -I llama.cpp/include -I llama.cpp/ggml/include -L llama.cpp/build/bin -lllama -lggml-base
 *     wavezero tasks print --json --problems 5 ... | jq -r .prompt | ./answer policy/model.gguf
 *
 * Reads one prompt a line (prompt_style compact, as Wavezero prints it, leading space included), writes one answer a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llama.h"

#define LONGEST 4096 /* tokens of a prompt and its answer */

static void be_silent(enum ggml_log_level level, const char *text, void *user)
{
    (void)level;
    (void)text;
    (void)user;
}

/* Greedy decoding from the prompt to an end token; writes the pieces as they come. 0: there was one. */
static int answer(struct llama_context *context, const struct llama_vocab *vocab, struct llama_sampler *greedy,
                  const char *prompt)
{
    static llama_token tokens[LONGEST];
    /* true, true: a begin token where the model wants one; <answer> and the like are tokens, not text */
    int count = llama_tokenize(vocab, prompt, (int)strlen(prompt), tokens, LONGEST, true, true);
    if (count <= 0)
        return fprintf(stderr, "the prompt is empty or longer than %d tokens\n", LONGEST), 1;
    llama_memory_clear(llama_get_memory(context), true);
    for (int used = 0; used + count <= LONGEST;) {
        if (llama_decode(context, llama_batch_get_one(tokens, count)) != 0)
            return fprintf(stderr, "llama_decode failed after %d tokens\n", used), 1;
        used += count;
        tokens[0] = llama_sampler_sample(greedy, context, -1);
        count = 1;
        char piece[256];
        const int length = llama_token_to_piece(vocab, tokens[0], piece, sizeof piece, 0, true);
        if (length > 0)
            fwrite(piece, 1, (size_t)length, stdout);
        if (llama_vocab_is_eog(vocab, tokens[0]))
            return putchar('\n') == EOF || fflush(stdout) == EOF;
    }
    return fprintf(stderr, "no end token within %d tokens\n", LONGEST), 1;
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t capacity = 0;
    int failed = 0;
    if (argc != 2)
        return fprintf(stderr, "usage: %s MODEL.gguf < prompts\n", argv[0]), 2;
    llama_log_set(be_silent, NULL);
    struct llama_model_params of_model = llama_model_default_params();
    of_model.n_gpu_layers = 0;
    struct llama_model *model = llama_model_load_from_file(argv[1], of_model);
    if (model == NULL)
        return fprintf(stderr, "%s cannot be loaded\n", argv[1]), 1;
    struct llama_context_params of_context = llama_context_default_params();
    of_context.n_ctx = of_context.n_batch = LONGEST;
    of_context.n_threads = of_context.n_threads_batch = 1; /* of a larger policy: the cores there are */
    of_context.type_k = of_context.type_v = GGML_TYPE_F32; /* keys and values as the policy was trained with */
    of_context.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    struct llama_context *context = llama_init_from_model(model, of_context);
    struct llama_sampler *greedy = llama_sampler_init_greedy();
    while (context != NULL && !failed && getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        failed = answer(context, llama_model_get_vocab(model), greedy, line);
    }
    free(line);
    llama_sampler_free(greedy);
    llama_free(context);
    llama_model_free(model);
    return failed || context == NULL;
}
