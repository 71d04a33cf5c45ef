/* Counts what the host asks of the device, where CUDA_EMULATOR_COUNT names a file for it. */
#include <cuda_runtime.h>

#include <stdio.h>
#include <stdlib.h>

#include <map>
#include <string>
#include <utility>

namespace emulator
{
namespace
{
/* Written when the program ends. */
class counts
{
  public:
    counts() : file_(getenv("CUDA_EMULATOR_COUNT"))
    {
    }
    ~counts()
    {
        FILE *out = file_ != nullptr ? fopen(file_, "w") : nullptr;
        for (const auto &row : count_)
            if (out != nullptr)
                fprintf(out, "%s\t%s\t%llu\n", row.first.first.c_str(), row.first.second.c_str(), row.second);
        if (file_ != nullptr && (out == nullptr || fclose(out) != 0))
            fprintf(stderr, "CUDA emulator: cannot write CUDA_EMULATOR_COUNT=%s\n", file_);
    }
    void add(const char *kind, const char *name)
    {
        if (file_ != nullptr)
            count_[{kind, name}]++;
    }

  private:
    const char *file_;
    std::map<std::pair<std::string, std::string>, unsigned long long> count_;
};
} // namespace

void count(const char *kind, const char *name)
{
    if (is_capturing())
        return;
    static counts all;
    all.add(kind, name);
}
} // namespace emulator
