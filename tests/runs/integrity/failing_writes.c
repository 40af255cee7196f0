/* Preloaded: makes the n-th thing written below a folder fail, whoever writes it, Python or C++.

   fail_at(folder, n, error, once): from the n-th write on, or once, opening for writing, writing, flushing,
   renaming and making folders below `folder` fail with `error`; n = 0 counts only. writes(): how many there were. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static atomic_long count, from;
static int error_number, only_once;

void fail_at(const char *below, long n, int error, int once) {
    snprintf(folder, sizeof folder, "%s/", below);
    error_number = error;
    only_once = once;
    count = 0;
    from = n;
}

long writes(void) { return count; }

static int fails(const char *path) {
    if (!folder[0] || !path || strncmp(path, folder, strlen(folder))) return 0;
    long now = atomic_fetch_add(&count, 1) + 1;
    if (!from || now < from || (only_once && now > from)) return 0;
    errno = error_number;
    return 1;
}

static int fails_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OPENS(name)                                                               \
    int name(const char *path, int flags, ...) {                                  \
        va_list more;                                                             \
        va_start(more, flags);                                                    \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;   \
        va_end(more);                                                             \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails(path)) return -1;    \
        return REAL(name)(path, flags, mode);                                     \
    }
OPENS(open)
OPENS(open64)
#define OPENS_AT(name)                                                            \
    int name(int at, const char *path, int flags, ...) {                          \
        va_list more;                                                             \
        va_start(more, flags);                                                    \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;   \
        va_end(more);                                                             \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && fails(path)) return -1;    \
        return REAL(name)(at, path, flags, mode);                                 \
    }
OPENS_AT(openat)
OPENS_AT(openat64)
ssize_t write(int fd, const void *data, size_t size) {
    return fails_fd(fd) ? -1 : REAL(write)(fd, data, size);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return fails_fd(fd) ? -1 : REAL(pwrite64)(fd, data, size, at);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return fails_fd(fd) ? -1 : REAL(pwrite)(fd, data, size, at);
}
ssize_t writev(int fd, const struct iovec *parts, int number) {
    return fails_fd(fd) ? -1 : REAL(writev)(fd, parts, number);
}
int fsync(int fd) { return fails_fd(fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails_fd(fd) ? -1 : REAL(fdatasync)(fd); }
int rename(const char *old, const char *new) { return fails(new) ? -1 : REAL(rename)(old, new); }
int mkdir(const char *path, mode_t mode) { return fails(path) ? -1 : REAL(mkdir)(path, mode); }
