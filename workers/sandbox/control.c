/*
 * control.c: the first message of a zygote.
 *
 * Main thread. The zygote says once which confinement it found to work; the kernel adds its
 * process id as we see it, which the zygote, in a namespace of its own, does not know.
 */
#include "workers/sandbox/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define HELLO_SIZE 8192

static pid_t sender_of(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        struct ucred who;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&who, CMSG_DATA(c), sizeof who);
        return who.pid;
    }
    return 0;
}

static bool all_strings(const json_t *array)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)array, i, item)
    {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(array);
}

static bool all_parts(const json_t *array)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)array, i, item)
    {
        if (!json_is_string(json_object_get(item, "part")) || !json_is_string(json_object_get(item, "why")))
            return false;
    }
    return json_is_array(array);
}

int control_read_hello(int fd, pid_t *pid, json_t **confinement, json_t **missing)
{
    char text[HELLO_SIZE];
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec part = {.iov_base = text, .iov_len = sizeof text};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    msg.msg_control = control.space;
    msg.msg_controllen = sizeof control.space;

    ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    json_t *hello = json_loadb(text, (size_t)n, 0, NULL);
    json_t *parts = json_object_get(hello, "confinement");
    json_t *lacks = json_object_get(hello, "missing");
    int rc = -1;
    if (all_strings(parts) && all_parts(lacks)) {
        *pid = sender_of(&msg);
        *confinement = json_incref(parts);
        *missing = json_incref(lacks);
        rc = 1;
    }
    json_decref(hello);
    return rc;
}
