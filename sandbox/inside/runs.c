/* The zygote's loop over runs in C: what zygote.py's own loop does in the namespace box, without
 * touching a Python object while a run's child lives. Each page that Python writes then is copied
 * by the kernel, because the child still shares it; that, and the child's own faults over the lines
 * that put the layers on, were a fifth of what an empty run costs.
 *
 * Part of a plain shared library: no Python header, no Python call. It is compiled when the project
 * is installed, and where there is no compiler zygote.py goes its own way, line for line the same.
 * runs.py declares the structures below a second time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANSWERS_FD 3
#define PAYLOAD_FD 4
#define LINK_FD 5
#define MOST_FDS 8
#define DESCRIPTORS 256
#define HAS_LINK 1
#define HAS_COLLECT 2
#define PLAIN 8
#define ANY_ADDRESS (1ull << 62)
#define TICK_S 0.05
#define WALL 0x40000000

struct __attribute__((packed)) request {
    uint8_t mode, flags;
    double cpu_s, wall_s;
    uint64_t memory, address, disk, output;
    uint32_t processes, size;
};

struct __attribute__((packed)) reply {
    uint8_t stage;
    int32_t number, status;
    uint8_t reason;
    uint64_t cpu_us, wall_us, largest_kb, sum_kb;
};

/* What holds for all runs of a zygote. */
struct plan {
    int32_t control, join, uid, pids, mounts, cores;
    int32_t limits_data; /* no cgroup counts memory */
    const char *work;
    void *filter;        /* struct sock_fprog: the rest of the filter */
    volatile uint8_t *page; /* shared with the child: stage, and errno at 4 */
};

/* The run under way. */
struct run {
    struct request request;
    int32_t child, sleeper;
    double began_s;
    const char *failed; /* what failed, where seedcoder_serve returns FAILED */
};

enum { CHILD, WATCH, CLOSED, FAILED };
enum { DONE = 255 }; /* the stage of a child with every layer on */

/* Not on Python's heap: what is written while a child lives must lie on pages of its own, or the
 * kernel takes the huge page apart that holds it (memory.c). */
static struct run now;
static char stack[1 << 14] __attribute__((aligned(4096)));

struct run *seedcoder_run(void) { return &now; }

static double now_s(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

/* Receive a request. Its descriptors come in on the lowest numbers, which are kept free for them. */
static int receive(const struct plan *plan, struct run *run) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(MOST_FDS * sizeof(int))];
    } riding;
    struct iovec data = {&run->request, sizeof run->request};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1,
        .msg_control = &riding, .msg_controllen = sizeof riding,
    };
    ssize_t got;
    do
        got = recvmsg(plan->control, &message, 0);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return CLOSED;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (got != sizeof run->request || !head || head->cmsg_type != SCM_RIGHTS ||
        message.msg_flags & MSG_CTRUNC) {
        run->failed = "receive a request";
        errno = got < 0 ? errno : EPROTO;
        return FAILED;
    }
    int count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (int i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
        if (fd != i) {
            run->failed = "receive descriptors: they came in on other numbers";
            errno = EBADF;
            return FAILED;
        }
    }
    return CHILD;
}

/* Go into the namespaces of a new run, with an empty work folder. */
static const char *enter(const struct plan *plan, const struct run *run) {
    char options[128];
    snprintf(options, sizeof options, "size=%llu,nr_inodes=16384,mode=700,uid=%d,gid=%d",
             (unsigned long long)run->request.disk, plan->uid, plan->uid);
    if (unshare(CLONE_NEWPID | CLONE_NEWNS))
        return "unshare";
    if (mount("work", plan->work, "tmpfs", MS_NOSUID | MS_NODEV, options))
        return "mount the work folder";
    return chdir(plan->work) ? "enter the work folder" : NULL;
}

static int send_work_folder(int collector) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } riding = {0};
    struct iovec data = {"w", 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1,
        .msg_control = &riding, .msg_controllen = sizeof riding,
    };
    int folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -1;
    riding.head.cmsg_level = SOL_SOCKET;
    riding.head.cmsg_type = SCM_RIGHTS;
    riding.head.cmsg_len = CMSG_LEN(sizeof folder);
    memcpy(CMSG_DATA(&riding.head), &folder, sizeof folder);
    int sent = sendmsg(collector, &message, 0) < 0;
    close(folder);
    return -sent;
}

static int limit(int what, rlim_t soft, rlim_t hard) {
    struct rlimit bound = {soft, hard};
    return setrlimit(what, &bound);
}

static int set_limits(const struct plan *plan, const struct request *request) {
    /* The watchdog ends a run at the exact limit; this stops a process that outruns it. */
    rlim_t whole_s = (rlim_t)request->cpu_s;
    whole_s += 1 + (whole_s < request->cpu_s);
    return limit(RLIMIT_CPU, whole_s, whole_s + 1) ||
           limit(RLIMIT_FSIZE, request->disk, request->disk) ||
           limit(RLIMIT_AS, request->address, request->address) ||
           (plan->limits_data && request->address < ANY_ADDRESS && limit(RLIMIT_DATA, request->memory, request->memory)) ||
           limit(RLIMIT_NPROC, request->processes, request->processes);
}

static int become_user(const struct plan *plan, int changes) {
    if (changes) /* all capabilities go with it */
        return setresuid(plan->uid, plan->uid, plan->uid);
    struct { uint32_t version; int32_t pid; } header = {0x20080522, 0};
    uint32_t none[6] = {0};
    return syscall(SYS_capset, &header, none);
}

/* In the child: put on the layers that are a run's own. Ends the process where one is refused. */
static void put_on(const struct plan *plan, const struct run *run, int changes_user) {
    const struct request *request = &run->request;
    int link = request->flags & HAS_LINK;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    int failed = sigprocmask(SIG_UNBLOCK, &ends, NULL) ||
                 (plan->join >= 0 && write(plan->join, "0", 1) != 1);
    plan->page[0] = 1;
    failed = failed || mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid");
    if (!failed) plan->page[0] = 2;
    failed = failed || ((request->flags & HAS_COLLECT) && send_work_folder(LINK_FD + link));
    if (!failed) plan->page[0] = 3;
    failed = failed || set_limits(plan, request);
    if (!failed) plan->page[0] = 4;
    failed = failed || become_user(plan, changes_user);
    if (!failed) plan->page[0] = 5;
    failed = failed || close_range(LINK_FD + link, DESCRIPTORS - 1, 0) ||
             syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, plan->filter);
    if (failed) {
        int number = errno;
        memcpy((void *)(plan->page + 4), &number, sizeof number);
        _exit(120);
    }
}

/* The words of a command that come next in its message: a count, and strings that end in a zero. */
static char **words(char **at) {
    uint32_t count;
    memcpy(&count, *at, sizeof count);
    *at += sizeof count;
    char **found = malloc((count + 1) * sizeof *found);
    for (uint32_t i = 0; found && i < count; i++) {
        found[i] = *at;
        *at += strlen(*at) + 1;
    }
    if (found)
        found[count] = NULL;
    return found;
}

/* Lay down the file that comes next: its size, its name, its bytes. */
static int lay_down(char **at) {
    uint64_t size;
    memcpy(&size, *at, sizeof size);
    char *name = *at + sizeof size;
    *at = name + strlen(name) + 1;
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    for (uint64_t done = 0; fd >= 0 && done < size;) {
        ssize_t more = write(fd, *at + done, size - done);
        if (more < 0)
            return -1;
        done += more;
    }
    *at += size;
    return fd < 0 ? -1 : close(fd);
}

static int grow_stack(uint64_t size) {
    struct rlimit bound;
    if (!size)
        return 0;
    if (getrlimit(RLIMIT_STACK, &bound))
        return -1;
    bound.rlim_cur = bound.rlim_max != RLIM_INFINITY && bound.rlim_max < size ? bound.rlim_max : size;
    return setrlimit(RLIMIT_STACK, &bound);
}

/* In the child, every layer on: be the command, as launch.py would. The message is our own, made by
 * sandbox/plainly.py: stack, whether the link is executed, files, arguments, environment.
 */
static void be_command(const struct run *run) {
    char *at = mmap(NULL, run->request.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, PAYLOAD_FD, 0);
    int failed = at == MAP_FAILED || setsid() < 0 || fcntl(ANSWERS_FD, F_SETFD, FD_CLOEXEC) ||
                 fcntl(PAYLOAD_FD, F_SETFD, FD_CLOEXEC);
    const char *what = "its message";
    if (!failed) {
        uint64_t stack;
        uint32_t by_link, files;
        memcpy(&stack, at, sizeof stack);
        memcpy(&by_link, at + 8, sizeof by_link);
        memcpy(&files, at + 12, sizeof files);
        at += 16;
        for (; files && !failed; files--)
            failed = lay_down(&at);
        failed = failed || grow_stack(stack) || (by_link && fcntl(LINK_FD, F_SETFD, FD_CLOEXEC));
        if (!failed) {
            char **command = words(&at), **environment = words(&at);
            what = command ? command[0] : "its arguments";
            if (command && environment && by_link)
                execveat(LINK_FD, "", command, environment, AT_EMPTY_PATH);
            else if (command && environment)
                execve(command[0], command, environment);
        }
    }
    int number = errno;
    dprintf(ANSWERS_FD, "E%d\n", number);
    dprintf(STDERR_FILENO, "[Errno %d] %s: '%s'\n", number, strerror(number), what);
    _exit(127);
}

/* Wait for the child until the first tick of the watchdog; return whether it has ended. */
static int ended(const struct plan *plan, const struct run *run, int *status, struct rusage *used) {
    double tick_s = run->request.cpu_s / plan->cores;
    double look_s = run->began_s + (tick_s < TICK_S ? tick_s : TICK_S);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    for (;;) {
        double left_s = look_s - now_s();
        if (left_s < 0)
            left_s = 0;
        struct timespec left = {(time_t)left_s, (long)((left_s - (time_t)left_s) * 1e9)};
        int heard = sigtimedwait(&ends, NULL, &left);
        /* The signal may be an older child's: only the child's own status counts. */
        if (wait4(run->child, status, WNOHANG, used) == run->child)
            return 1;
        if ((heard < 0 && errno == EAGAIN) || now_s() >= look_s)
            return 0;
    }
}

static uint64_t cpu_us(const struct rusage *used) {
    return (used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000ull + used->ru_utime.tv_usec +
           used->ru_stime.tv_usec;
}

/* End all that is left of a run, come back from its namespaces, and answer. */
static const char *answer(const struct plan *plan, struct run *run, int status,
                          const struct rusage *used) {
    struct rusage rest;
    int ignored;
    kill(run->sleeper, SIGKILL); /* and with it, its whole PID namespace */
    if (wait4(run->sleeper, &ignored, WALL, &rest) < 0)
        return "wait for the sleeper";
    struct reply reply = {
        .stage = plan->page[0],
        .status = status,
        .cpu_us = cpu_us(used) + cpu_us(&rest),
        .wall_us = (uint64_t)((now_s() - run->began_s) * 1e6),
        .largest_kb = used->ru_maxrss,
    };
    memcpy(&reply.number, (void *)(plan->page + 4), sizeof reply.number);
    if (setns(plan->pids, CLONE_NEWPID) || setns(plan->mounts, CLONE_NEWNS))
        return "come back from the run's namespaces";
    if (send(plan->control, &reply, sizeof reply, MSG_NOSIGNAL) < 0)
        return "answer";
    return close_range(0, MOST_FDS - 1, 0) ? "close the run's descriptors" : NULL;
}

/* First in a run's PID namespace, in the zygote's memory: it touches nothing. */
static int sleep_on(void *nothing) {
    for (;;)
        pause();
    return nothing != NULL;
}

/* Answer requests. Returns CHILD in a run's process with every layer on; WATCH when a run has
 * lasted until the watchdog must look at it (the caller ends and answers it); CLOSED when the
 * supervisor has hung up; FAILED with errno set. A plain command's process does not return.
 */
int seedcoder_serve(const struct plan *plan, int changes_user) {
    struct run *run = &now;
    for (;;) {
        int got = receive(plan, run);
        if (got != CHILD)
            return got;
        memset((void *)plan->page, 0, 8);
        run->began_s = now_s();
        run->failed = enter(plan, run);
        if (run->failed)
            return FAILED;
        run->sleeper = clone(sleep_on, stack + sizeof stack, CLONE_VM, NULL);
        if (run->sleeper < 0) {
            run->failed = "start the sleeper";
            return FAILED;
        }
        run->child = fork();
        if (run->child < 0) {
            run->failed = "fork";
            return FAILED;
        }
        if (run->child == 0) {
            put_on(plan, run, changes_user);
            if (run->request.mode == PLAIN) {
                plan->page[0] = DONE;
                be_command(run);
            }
            return CHILD;
        }
        int status;
        struct rusage used;
        if (!ended(plan, run, &status, &used))
            return WATCH;
        run->failed = answer(plan, run, status, &used);
        if (run->failed)
            return FAILED;
    }
}
