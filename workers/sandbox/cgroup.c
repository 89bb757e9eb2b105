/*
 * cgroup.c: the cgroup that the operator named for the sandboxes.
 *
 * Any thread; nothing is kept. The folder, its limits and who may write it are the operator's: ferry-jail
 * joins it, here is only looked whether that worked and what limit is in force. Version 1 and 2 differ in the
 * names of their files.
 */
#include "workers/sandbox/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Opens FOLDER/name for reading; NULL where that is not possible. */
static FILE *open_in(const char *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return NULL;
    FILE *f = fopen(path, "re");
    free(path);
    return f;
}

bool cgroup_holds(const char *folder, pid_t pid)
{
    FILE *f = open_in(folder, "cgroup.procs");
    bool found = false;
    for (long member; f && !found && fscanf(f, "%ld", &member) == 1;)
        found = member == (long)pid;
    if (f)
        (void)fclose(f);
    return found;
}

json_t *cgroup_status(const char *folder)
{
    static const char *const LIMITS[] = {"memory.limit_in_bytes", "memory.max"}; /* of version 1 and 2 */
    json_t *version = json_null(), *memory = json_null();
    for (int i = 0; i < 2; i++) {
        FILE *f = open_in(folder, LIMITS[i]);
        if (!f)
            continue;
        version = json_integer(i + 1);
        /* without a limit, version 1 has the largest number of whole pages, version 2 the word "max" */
        long long bytes;
        if (fscanf(f, "%lld", &bytes) == 1 && bytes < INT64_MAX - sysconf(_SC_PAGESIZE))
            memory = json_integer(bytes);
        (void)fclose(f);
    }
    return json_pack("{s:s, s:o, s:o}", "folder", folder, "version", version, "memory_bytes", memory);
}
