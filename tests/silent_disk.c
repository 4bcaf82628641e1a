/* A network disk whose server is gone. Preloaded, this makes every call about a path that begins with
   BERT_TUI_SILENT_DISK wait for a minute, as the kernel would. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_if_silent(const char *path)
{
    const char *silent = getenv("BERT_TUI_SILENT_DISK");
    if (silent && path && strncmp(path, silent, strlen(silent)) == 0)
        sleep(60);
}

/* Redefines one call of the C library; its parameter `path` is the one looked at. */
#define CALL(type, name, parameters, arguments)        \
    type name parameters                               \
    {                                                  \
        type(*next) parameters = dlsym(RTLD_NEXT, #name); \
        wait_if_silent(path);                          \
        return next arguments;                         \
    }

CALL(int, stat, (const char *path, void *facts), (path, facts))
CALL(int, lstat, (const char *path, void *facts), (path, facts))
CALL(int, stat64, (const char *path, void *facts), (path, facts))
CALL(int, lstat64, (const char *path, void *facts), (path, facts))
CALL(int, fstatat, (int folder, const char *path, void *facts, int flags), (folder, path, facts, flags))
CALL(int, fstatat64, (int folder, const char *path, void *facts, int flags), (folder, path, facts, flags))
CALL(int, statvfs, (const char *path, void *facts), (path, facts))
CALL(int, statvfs64, (const char *path, void *facts), (path, facts))
CALL(int, open, (const char *path, int flags, int mode), (path, flags, mode))
CALL(int, open64, (const char *path, int flags, int mode), (path, flags, mode))
CALL(int, mkdir, (const char *path, int mode), (path, mode))
CALL(void *, opendir, (const char *path), (path))
CALL(ssize_t, readlink, (const char *path, char *link, size_t size), (path, link, size))
CALL(int, access, (const char *path, int mode), (path, mode))
CALL(int, faccessat, (int folder, const char *path, int mode, int flags), (folder, path, mode, flags))
