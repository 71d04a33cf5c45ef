"""The same in Python: pip install xllamacpp; python answer.py policy/model.gguf < prompts"""
import json, sys
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_gpu_layers = 4096, 0
params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32  # as the policy was trained
server = xllamacpp.Server(params)
for line in sys.stdin:
    request = {"prompt": line.rstrip("\n"), "temperature": 0, "n_predict": 64}
    print(server.handle_completions(request)["choices"][0]["text"], flush=True)
