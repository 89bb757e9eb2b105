/*
 * fds.c: descriptors that cross the border to a step.
 *
 * Any thread. A step writes into memfds, which are sealed before anybody reads them, so that
 * what was checked is what is used. What a step reads, it gets as a read-only description.
 */
#include "workers/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
#define MAX_SENT 16
#define SEND_WAIT_MS 1000

int fd_memfile(const char *name, struct err *e)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        (void)err_errno(e, errno, "memory file %s", name);
    return fd;
}

static int write_whole(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

int fd_memfile_with(const char *name, const char *data, size_t len, struct err *e)
{
    int fd = fd_memfile(name, e);
    if (fd < 0)
        return -1;
    int out = -1;
    if (write_whole(fd, data, len) != 0 || fd_seal(fd) != 0)
        (void)err_errno(e, errno, "memory file %s", name);
    else
        out = fd_read_only(fd, e);
    fd_close(&fd);
    return out;
}

int fd_read_only(int fd, struct err *e)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int out = open(path, O_RDONLY | O_CLOEXEC);
    if (out < 0)
        (void)err_errno(e, errno, "opening a step's input again");
    return out;
}

int fd_seal(int fd)
{
    if (fcntl(fd, F_ADD_SEALS, SEALS) != 0 && errno != EPERM)
        return -1; /* EPERM: sealed by the step itself, perhaps with fewer seals */
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS ? 0 : -1;
}

void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static ssize_t send_when_ready(int sock, const struct msghdr *msg)
{
    for (;;) {
        ssize_t n = sendmsg(sock, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0 || (errno != EAGAIN && errno != EINTR))
            return n;
        struct pollfd ready = {.fd = sock, .events = POLLOUT};
        if (errno == EAGAIN && poll(&ready, 1, SEND_WAIT_MS) == 0)
            return -1;
    }
}

int fd_send(int sock, const char *text, const int *fds, size_t n, struct err *e)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(MAX_SENT * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

    if (n > MAX_SENT)
        return err_set(e, FERR_INTERNAL, "a step has too many descriptors");
    msg.msg_control = control.space;
    msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(head), fds, n * sizeof(int));
    if (send_when_ready(sock, &msg) < 0)
        return err_errno(e, errno, "sending a step to its zygote");
    return 0;
}

static int passed_fd(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        int fd;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(sizeof fd))
            continue;
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
        return fd;
    }
    return -1;
}

ssize_t fd_receive(int sock, char *text, size_t size, int *passed)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = text, .iov_len = size};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    msg.msg_control = control.space;
    msg.msg_controllen = sizeof control.space;
    ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    *passed = n >= 0 ? passed_fd(&msg) : -1;
    return n;
}
