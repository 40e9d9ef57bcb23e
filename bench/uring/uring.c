// Does io_uring write to many sockets for less than write(2) does? One process gives each of N loopback connections 300 bytes, over and over:
// with a write for each, and with batches of sends that one io_uring_enter submits. Another one reads them with epoll. It prints the CPU
// time (user and system) of the writer for each send, in turns, so that a change of the machine's speed hits both.
//
//   cc -O2 -o /tmp/uring bench/uring/uring.c && /tmp/uring 1000 300
//
// It uses the system calls themselves, for not every system has liburing. See docs/decisions/0010-no-io-uring.md.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { maxSockets = 9000, entries = 256 };

static int fds[maxSockets], n;
static char frame[300];

static void fail(const char *what) {
	perror(what);
	exit(1);
}

static double cpu(void) {
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

// The reader drains whatever comes until it is killed.
static void drain(int port) {
	int ep = epoll_create1(0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (int i = 0; i < n; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) fail("connect");
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	}
	static char buf[1 << 16];
	struct epoll_event evs[256];
	for (;;) {
		int got = epoll_wait(ep, evs, 256, -1);
		for (int i = 0; i < got; i++)
			if (read(evs[i].data.fd, buf, sizeof buf) <= 0) exit(0);
	}
}

static void round_write(void) {
	for (int i = 0; i < n; i++)
		while (write(fds[i], frame, sizeof frame) < 0)
			if (errno != EAGAIN) fail("write");
}

static struct {
	int fd;
	unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
} ring;

static void open_ring(void) {
	struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	ring.fd = syscall(__NR_io_uring_setup, entries, &p);
	if (ring.fd < 0) fail("io_uring_setup");
	size_t size = p.sq_off.array + p.sq_entries * sizeof(unsigned), other = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	char *m = mmap(0, size > other ? size : other, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQ_RING);
	if (m == MAP_FAILED) fail("mmap");
	ring.sq_tail = (unsigned *)(m + p.sq_off.tail), ring.sq_mask = (unsigned *)(m + p.sq_off.ring_mask);
	ring.sq_array = (unsigned *)(m + p.sq_off.array), ring.cq_head = (unsigned *)(m + p.cq_off.head);
	ring.cq_tail = (unsigned *)(m + p.cq_off.tail), ring.cq_mask = (unsigned *)(m + p.cq_off.ring_mask);
	ring.cqes = (struct io_uring_cqe *)(m + p.cq_off.cqes);
	ring.sqes = mmap(0, p.sq_entries * sizeof *ring.sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, IORING_OFF_SQES);
	if (ring.sqes == MAP_FAILED) fail("mmap");
	// Registered files save the look-up of each descriptor.
	if (syscall(__NR_io_uring_register, ring.fd, IORING_REGISTER_FILES, fds, n) < 0) fail("register files");
}

static void round_ring(void) {
	for (int at = 0; at < n;) {
		unsigned tail = *ring.sq_tail;
		int batch = n - at < entries ? n - at : entries;
		for (int i = 0; i < batch; i++, tail++) {
			unsigned place = tail & *ring.sq_mask;
			struct io_uring_sqe *s = &ring.sqes[place];
			memset(s, 0, sizeof *s);
			s->opcode = IORING_OP_SEND, s->fd = at + i, s->flags = IOSQE_FIXED_FILE;
			s->addr = (unsigned long)frame, s->len = sizeof frame, s->msg_flags = MSG_DONTWAIT;
			ring.sq_array[place] = place;
		}
		__atomic_store_n(ring.sq_tail, tail, __ATOMIC_RELEASE);
		if (syscall(__NR_io_uring_enter, ring.fd, batch, batch, IORING_ENTER_GETEVENTS, NULL, 0) < 0) fail("io_uring_enter");
		unsigned head = *ring.cq_head, end = __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE);
		for (; head != end; head++) {
			int res = ring.cqes[head & *ring.cq_mask].res;
			if (res != sizeof frame && res != -EAGAIN) {
				errno = -res;
				fail("send");
			}
		}
		__atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
		at += batch;
	}
}

static double measure(void (*round)(void), int rounds) {
	double begin = cpu();
	for (int i = 0; i < rounds; i++) {
		round();
		usleep(8000 * n / 1000); // the pace of a busy room, so that readers keep up
	}
	return (cpu() - begin) / rounds / n;
}

int main(int argc, char **argv) {
	n = argc > 1 ? atoi(argv[1]) : 1000;
	int rounds = argc > 2 ? atoi(argv[2]) : 300;
	if (n < 1 || n > maxSockets || rounds < 1) {
		fprintf(stderr, "usage: uring SOCKETS ROUNDS, with 1 to %d sockets\n", maxSockets);
		return 2;
	}
	int l = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	if (bind(l, (struct sockaddr *)&a, len) < 0 || listen(l, 4096) < 0 || getsockname(l, (struct sockaddr *)&a, &len) < 0) fail("listen");
	pid_t reader = fork();
	if (reader == 0) drain(ntohs(a.sin_port));
	for (int i = 0; i < n; i++) {
		if ((fds[i] = accept4(l, 0, 0, SOCK_NONBLOCK)) < 0) fail("accept");
		int on = 1;
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	}
	open_ring();
	measure(round_write, 20), measure(round_ring, 20);
	for (int turn = 0; turn < 5; turn++) {
		double w = measure(round_write, rounds / 5 + 1), r = measure(round_ring, rounds / 5 + 1);
		printf("write %.2f us, io_uring %.2f us a send: %.2f\n", w, r, r / w);
	}
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	return 0;
}
