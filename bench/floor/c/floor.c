//go:build ignore

/*
 * floor: the least that a server of this contract can do. It takes messages from Redis (or from lines on a TCP
 * connection), looks up the tenant's sockets, and gives each of them one WebSocket text frame with one write(2).
 *
 * No sessions, no history, no pings, no queue for a slow reader, no second thread. What it costs is what the kernel takes
 * for reading and writing, so it is what other servers are compared with.
 *
 *   floor redis HOST PORT    take messages from PSUBSCRIBE production:updates:*
 *   floor lines              take messages from lines "TENANT TEXT" on a second port
 *
 * It prints "PORT" or "PORT LINES_PORT" and serves until it is killed. A screen asks for GET /api/ws/TENANT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 65536, TABLE = 1 << 16, IN_BYTES = 4 << 20, MAX_MESSAGE = 1 << 20 };

struct tenant {
	char *name;
	size_t name_len;
	int *fds;
	int count, room;
	struct tenant *next;
};

static struct tenant *table[TABLE];
static struct tenant *of_fd[MAX_FD]; /* NULL: not upgraded yet */
static char in[IN_BYTES];            /* of the intake connection */
static size_t in_len;
static char frame[MAX_MESSAGE + 16];
static int epoll, intake = -1;

static void die(const char *what) {
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct tenant *tenant(const char *name, size_t len, int create) {
	uint64_t h = 14695981039346656037u; /* FNV-1a */
	for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)name[i]) * 1099511628211u;
	struct tenant **at = &table[h % TABLE];
	for (; *at; at = &(*at)->next)
		if ((*at)->name_len == len && memcmp((*at)->name, name, len) == 0) return *at;
	if (!create) return NULL;
	struct tenant *t = calloc(1, sizeof *t);
	if (!t || !(t->name = malloc(len + 1))) die("allocate tenant");
	memcpy(t->name, name, len);
	t->name_len = len;
	return *at = t;
}

static void follow(struct tenant *t, int fd) {
	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 8;
		if (!(t->fds = realloc(t->fds, t->room * sizeof *t->fds))) die("allocate sockets");
	}
	t->fds[t->count++] = fd;
	of_fd[fd] = t;
}

static void drop(int fd) {
	struct tenant *t = of_fd[fd];
	if (t)
		for (int i = 0; i < t->count; i++)
			if (t->fds[i] == fd) {
				t->fds[i] = t->fds[--t->count];
				break;
			}
	of_fd[fd] = NULL;
	close(fd);
}

static void deliver(const char *name, size_t name_len, const char *text, size_t len) {
	struct tenant *t = tenant(name, name_len, 0);
	if (!t || len > MAX_MESSAGE) return;
	size_t n = 0;
	frame[n++] = (char)0x81;
	if (len < 126) {
		frame[n++] = (char)len;
	} else if (len < 65536) {
		frame[n++] = 126;
		frame[n++] = (char)(len >> 8);
		frame[n++] = (char)len;
	} else {
		frame[n++] = 127;
		for (int shift = 56; shift >= 0; shift -= 8) frame[n++] = (char)((uint64_t)len >> shift);
	}
	memcpy(frame + n, text, len);
	n += len;
	for (int i = 0; i < t->count;) {
		int fd = t->fds[i];
		/* A socket that does not take a whole frame is out of step for good. Its end shows as a loss. */
		if (write(fd, frame, n) != (ssize_t)n)
			drop(fd); /* puts the last one in its place */
		else
			i++;
	}
}

/* number reads digits and CR LF at *at; it returns 0 if they are not all there yet. */
static int number(const char **at, const char *end, long *value) {
	const char *nl = memchr(*at, '\n', end - *at);
	if (!nl) return 0;
	*value = strtol(*at, NULL, 10);
	*at = nl + 1;
	return 1;
}

/* push reads one push of Redis, "*N" and N bulk strings or integers; it returns where it ends, or NULL if it is not whole. */
static const char *push(const char *at, const char *end) {
	const char *part[4] = {0};
	long size[4] = {0}, parts, value;
	if (at >= end) return NULL;
	if (*at != '*') {
		fprintf(stderr, "floor: redis says %.*s\n", (int)(end - at < 80 ? end - at : 80), at);
		exit(1);
	}
	at++;
	if (!number(&at, end, &parts)) return NULL;
	for (long i = 0; i < parts; i++) {
		if (at >= end) return NULL;
		char kind = *at++;
		if (!number(&at, end, &value)) return NULL;
		if (kind != '$') continue;
		if (end - at < value + 2) return NULL;
		if (i < 4) part[i] = at, size[i] = value;
		at += value + 2;
	}
	static const char prefix[] = "production:updates:";
	const long skip = sizeof prefix - 1;
	if (parts == 4 && size[0] == 8 && memcmp(part[0], "pmessage", 8) == 0 && size[2] > skip)
		deliver(part[2] + skip, size[2] - skip, part[3], size[3]);
	return at;
}

static const char *line(const char *at, const char *end) {
	const char *nl = memchr(at, '\n', end - at);
	if (!nl) return NULL;
	const char *space = memchr(at, ' ', nl - at);
	if (space) deliver(at, space - at, space + 1, nl - space - 1);
	return nl + 1;
}

static void take(const char *(*one)(const char *, const char *)) {
	ssize_t n = read(intake, in + in_len, sizeof in - in_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (n <= 0) {
		if (one == push) die("redis has gone");
		close(intake);
		intake = -1;
		in_len = 0;
		return;
	}
	in_len += n;
	const char *at = in, *end = in + in_len, *next;
	while ((next = one(at, end))) at = next;
	in_len = end - at;
	if (in_len == sizeof in) {
		fprintf(stderr, "floor: a message is longer than the buffer\n");
		exit(1);
	}
	memmove(in, at, in_len);
}

static void watch(int fd) {
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e)) die("watch");
}

static int listen_on_loopback(void) {
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) || listen(fd, 4096)) die("listen");
	watch(fd);
	return fd;
}

static int port_of(int fd) {
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	if (getsockname(fd, (struct sockaddr *)&a, &len)) die("getsockname");
	return ntohs(a.sin_port);
}

static void accept_all(int listener, int as_intake) {
	int fd, one = 1;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (fd >= MAX_FD || (as_intake && intake >= 0)) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (as_intake) intake = fd;
		watch(fd);
	}
}

/* Requests of our own driver come in one piece; one that does not is refused. What an upgraded socket says is passed over. */
static void from_screen(int fd) {
	static char request[16384];
	static const char get[] = "GET /api/ws/", yes[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	                                                 "Connection: Upgrade\r\n\r\n";
	ssize_t n = read(fd, request, sizeof request);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (n <= 0) {
		drop(fd);
		return;
	}
	if (of_fd[fd]) return;
	const char *name = request + sizeof get - 1;
	const char *space = n > (ssize_t)sizeof get ? memchr(name, ' ', n - (sizeof get - 1)) : NULL;
	if (!space || memcmp(request, get, sizeof get - 1) || memcmp(request + n - 4, "\r\n\r\n", 4) ||
	    write(fd, yes, sizeof yes - 1) != sizeof yes - 1) {
		drop(fd);
		return;
	}
	follow(tenant(name, space - name, 1), fd);
}

static void join_redis(const char *host, const char *port) {
	static const char ask[] = "*2\r\n$10\r\nPSUBSCRIBE\r\n$20\r\nproduction:updates:*\r\n";
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	inet_pton(AF_INET, host, &to.sin_addr);
	intake = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (intake < 0 || connect(intake, (struct sockaddr *)&to, sizeof to)) die("connect to redis");
	if (write(intake, ask, sizeof ask - 1) != sizeof ask - 1) die("subscribe");
	watch(intake);
}

int main(int argc, char **argv) {
	signal(SIGPIPE, SIG_IGN);
	if ((epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) die("epoll_create1");
	int screens = listen_on_loopback(), lines = -1;
	if (argc == 4 && strcmp(argv[1], "redis") == 0) {
		join_redis(argv[2], argv[3]);
		printf("%d\n", port_of(screens));
	} else if (argc == 2 && strcmp(argv[1], "lines") == 0) {
		lines = listen_on_loopback();
		printf("%d %d\n", port_of(screens), port_of(lines));
	} else {
		fprintf(stderr, "usage: floor redis HOST PORT | floor lines\n");
		return 2;
	}
	fflush(stdout);
	static struct epoll_event events[1024];
	for (;;) {
		int n = epoll_wait(epoll, events, 1024, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == screens || fd == lines)
				accept_all(fd, fd == lines);
			else if (fd == intake)
				take(lines < 0 ? push : line);
			else
				from_screen(fd);
		}
	}
}
