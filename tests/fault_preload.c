/* Fails, or kills the process at, the n-th call of one kind. Loaded with LD_PRELOAD, so that any program can be
 * swept: n = 1, 2, ... until a run in which nothing fired.
 *
 *     WZ_FAULT_CALL   malloc | open | write | fsync | rename | ftruncate; a kind is a family of functions
 *     WZ_FAULT_AT     which call fails, from 1
 *     WZ_FAULT_KILL   1: SIGKILL in place of a failure, before the call has had any effect
 *     WZ_FAULT_SIGNAL a signal's number: it is sent in place of a failure, and the call goes on
 *     WZ_FAULT_SHORT  1: a write takes half of its bytes and succeeds, the next one fails
 *     WZ_FAULT_MAIN   1: only calls from the program itself count, not those from shared libraries
 *     WZ_FAULT_MARK   a file that is created when the fault fires
 *     WZ_FAULT_FREE   bytes that every file system has free, with or without a call to fail
 *
 * Failures set the errno a real system would: ENOMEM, EACCES, ENOSPC, EIO. Only calls through the dynamic
 * linker are seen: a libc function that calls another inside libc (fwrite its write) counts once, as itself,
 * if it is in a family at all. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What the environment asks for: read once, by the constructor. Before that nothing fires. */
static struct {
    char call[16];
    long at, free; /* free: -1, as it is */
    int signal;    /* 0: none */
    bool kill, cut, main_only;
    char mark[512];
    uintptr_t main_start, main_end; /* addresses of the program itself */
} plan;
static atomic_long calls;
static atomic_bool failing; /* after a cut write: the next one fails */

/* --- real functions --- */

/* dlsym may allocate, so allocation itself goes to glibc's own names. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

/* dlsym returns an object pointer; POSIX allows reading it as a function. */
#define REAL(name)                                                                                           \
    __typeof__(name) *real_##name = NULL;                                                                    \
    void *symbol_##name = dlsym(RTLD_NEXT, #name);                                                           \
    memcpy(&real_##name, &symbol_##name, sizeof real_##name)

/* --- the plan --- */

static int note_program(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = (uintptr_t)(info->dlpi_addr + header->p_vaddr);
        if (header->p_type != PT_LOAD)
            continue;
        if (plan.main_start == 0 || start < plan.main_start)
            plan.main_start = start;
        if (start + header->p_memsz > plan.main_end)
            plan.main_end = start + header->p_memsz;
    }
    return 1; /* the program comes first: no need to see the rest */
}

static void copy_setting(const char *name, char *out, size_t size)
{
    const char *value = getenv(name);
    if (value != NULL && strlen(value) < size)
        memcpy(out, value, strlen(value) + 1);
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && strcmp(value, "1") == 0;
}

static long read_number(const char *name, long otherwise)
{
    const char *value = getenv(name);
    return value == NULL ? otherwise : strtol(value, NULL, 10);
}

__attribute__((constructor)) static void read_plan(void)
{
    (void)dl_iterate_phdr(note_program, NULL);
    copy_setting("WZ_FAULT_MARK", plan.mark, sizeof plan.mark);
    plan.kill = is_set("WZ_FAULT_KILL");
    plan.cut = is_set("WZ_FAULT_SHORT");
    plan.main_only = is_set("WZ_FAULT_MAIN");
    plan.at = read_number("WZ_FAULT_AT", 0);
    plan.signal = (int)read_number("WZ_FAULT_SIGNAL", 0);
    plan.free = read_number("WZ_FAULT_FREE", -1);
    copy_setting("WZ_FAULT_CALL", plan.call, sizeof plan.call);
}

/* Straight to the kernel: the functions here are the ones being replaced. */
static void fire(void)
{
    if (plan.mark[0] != '\0') {
        long descriptor = syscall(SYS_openat, AT_FDCWD, plan.mark, O_WRONLY | O_CREAT, 0666);
        if (descriptor >= 0)
            (void)syscall(SYS_close, descriptor);
    }
    if (plan.kill)
        (void)syscall(SYS_kill, getpid(), SIGKILL);
    if (plan.signal != 0) /* to this thread: it is handled before the call goes on */
        (void)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), plan.signal);
}

/* Counts a call of a family; true when it is the one that must fail. */
static bool strike(const char *family, const void *caller)
{
    uintptr_t address = (uintptr_t)caller;
    if (plan.at <= 0 || strcmp(plan.call, family) != 0)
        return false;
    if (plan.main_only && (address < plan.main_start || address >= plan.main_end))
        return false;
    if (atomic_fetch_add(&calls, 1) + 1 != plan.at)
        return false;
    fire();
    return plan.signal == 0;
}

/* For writes: the number of bytes to let through, or -1 to fail. */
static ssize_t strike_write(size_t length, const void *caller)
{
    if (atomic_exchange(&failing, false))
        return -1;
    if (!strike("write", caller))
        return (ssize_t)length;
    if (!plan.cut || length < 2)
        return -1;
    atomic_store(&failing, true);
    return (ssize_t)(length / 2);
}

static int fail(int number)
{
    errno = number;
    return -1;
}

#define CALLER __builtin_return_address(0)

/* --- memory --- */

#ifndef WZ_FAULT_NO_MALLOC /* AddressSanitizer replaces these itself */

void *malloc(size_t size)
{
    if (strike("malloc", CALLER)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    if (strike("malloc", CALLER)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    if (strike("malloc", CALLER)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    if (strike("malloc", CALLER)) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = strike("malloc", CALLER) ? NULL : __libc_memalign(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *out = block;
    return 0;
}

/* libc's own strdup calls malloc inside libc, where nothing sees it. */
char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = strike("malloc", CALLER) ? NULL : __libc_malloc(size);
    if (copy == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    return memcpy(copy, text, size);
}

#endif

/* --- files --- */

/* The mode argument exists only where a file may be created. */
#define READ_MODE(flags, mode)                                                                               \
    unsigned mode = 0;                                                                                       \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                            \
        va_list arguments;                                                                                   \
        va_start(arguments, flags);                                                                          \
        mode = va_arg(arguments, unsigned);                                                                  \
        va_end(arguments);                                                                                   \
    }

int open(const char *path, int flags, ...)
{
    READ_MODE(flags, mode)
    REAL(open);
    return strike("open", CALLER) ? fail(EACCES) : real_open(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    READ_MODE(flags, mode)
    REAL(open64);
    return strike("open", CALLER) ? fail(EACCES) : real_open64(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    READ_MODE(flags, mode)
    REAL(openat);
    return strike("open", CALLER) ? fail(EACCES) : real_openat(directory, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    REAL(creat);
    return strike("open", CALLER) ? fail(EACCES) : real_creat(path, mode);
}

ssize_t write(int descriptor, const void *bytes, size_t length)
{
    REAL(write);
    ssize_t allowed = strike_write(length, CALLER);
    return allowed < 0 ? fail(ENOSPC) : real_write(descriptor, bytes, (size_t)allowed);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset)
{
    REAL(pwrite);
    ssize_t allowed = strike_write(length, CALLER);
    return allowed < 0 ? fail(ENOSPC) : real_pwrite(descriptor, bytes, (size_t)allowed, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset)
{
    REAL(pwrite64);
    ssize_t allowed = strike_write(length, CALLER);
    return allowed < 0 ? fail(ENOSPC) : real_pwrite64(descriptor, bytes, (size_t)allowed, offset);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count)
{
    REAL(writev);
    return strike_write(1, CALLER) < 0 ? fail(ENOSPC) : real_writev(descriptor, pieces, count);
}

int fsync(int descriptor)
{
    REAL(fsync);
    return strike("fsync", CALLER) ? fail(EIO) : real_fsync(descriptor);
}

int fdatasync(int descriptor)
{
    REAL(fdatasync);
    return strike("fsync", CALLER) ? fail(EIO) : real_fdatasync(descriptor);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return strike("rename", CALLER) ? fail(EIO) : real_rename(from, to);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    REAL(renameat);
    return strike("rename", CALLER) ? fail(EIO) : real_renameat(from_directory, from, to_directory, to);
}

int ftruncate(int descriptor, off_t length)
{
    REAL(ftruncate);
    return strike("ftruncate", CALLER) ? fail(EIO) : real_ftruncate(descriptor, length);
}

int ftruncate64(int descriptor, off64_t length)
{
    REAL(ftruncate64);
    return strike("ftruncate", CALLER) ? fail(EIO) : real_ftruncate64(descriptor, length);
}

int statvfs(const char *path, struct statvfs *info)
{
    REAL(statvfs);
    const int result = real_statvfs(path, info);
    if (result == 0 && plan.free >= 0) {
        info->f_frsize = 1;
        info->f_bavail = (fsblkcnt_t)plan.free;
    }
    return result;
}
