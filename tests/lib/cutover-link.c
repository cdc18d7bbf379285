/* cutover-link.c - a link between two hosts, for tests: `cutover-link A B CONTROL` makes two tap
 * devices, each to be moved to a namespace, and carries frames between them, both ways at the rate
 * and with the delay that it is told. CONTROL is a fifo; its lines are
 *
 *     shape BITS MS   bits a second (0 = as fast as it goes) and milliseconds, each way
 *     cut             from now on all frames are lost, those on their way too
 *     mend
 *     count           prints what each way has carried since: "A-B FRAMES BYTES B-A FRAMES BYTES"
 *     end
 *
 * A queue holds an eighth of a second of the rate, 64 KiB at least; what does not fit is lost, as
 * on a router. It prints "ready" once the devices are there. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 2048, FRAMES = 16384, QUEUE_LEAST = 64 << 10, LINE = 128, TURN = 64 };
enum { QUEUE_PART = 8 /* of a second */ };
#define SECOND UINT64_C(1000000000)

struct frame {
	uint64_t leaves, arrives; /* ns: when its last bit is sent, and when it is there */
	size_t n;
	unsigned char b[FRAME_MAX];
};

/* One way. */
struct way {
	int from, to;
	struct frame *v; /* FRAMES, a ring */
	size_t first, n;
	uint64_t free_at; /* when the wire is free */
	uint64_t frames, bytes;
};

struct link {
	struct way ways[2];
	uint64_t rate, delay; /* bits a second, ns */
	bool cut;
	int control;
	char line[LINE];
	size_t line_n;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static int tap(const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		die("/dev/net/tun");
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &r) != 0)
		die(name);
	return fd;
}

/* The bytes that wait for the wire. */
static uint64_t waiting(const struct link *l, const struct way *w, uint64_t now)
{
	return l->rate == 0 || w->free_at <= now ? 0 : (w->free_at - now) * l->rate / 8 / SECOND;
}

static uint64_t queue_max(const struct link *l)
{
	uint64_t n = l->rate / 8 / QUEUE_PART;

	return n > QUEUE_LEAST ? n : QUEUE_LEAST;
}

static void take(struct link *l, struct way *w, const unsigned char *b, size_t n)
{
	uint64_t now = now_ns();
	struct frame *f = &w->v[(w->first + w->n) % FRAMES];

	if (l->cut || w->n == FRAMES || waiting(l, w, now) + n > queue_max(l))
		return;
	if (w->free_at < now)
		w->free_at = now;
	if (l->rate != 0)
		w->free_at += n * 8 * SECOND / l->rate;
	f->leaves = w->free_at;
	f->arrives = f->leaves + l->delay;
	f->n = n;
	memcpy(f->b, b, n);
	w->n++;
}

static void read_all(struct link *l, struct way *w)
{
	unsigned char b[FRAME_MAX];
	ssize_t n;

	for (int i = 0; i < TURN && (n = read(w->from, b, sizeof(b))) > 0; i++)
		take(l, w, b, (size_t)n);
}

static void deliver(struct link *l, struct way *w)
{
	uint64_t now = now_ns();

	while (w->n > 0 && (l->cut || w->v[w->first].arrives <= now)) {
		const struct frame *f = &w->v[w->first];

		/* an interface that is down takes none: that is the link's loss */
		if (!l->cut && write(w->to, f->b, f->n) == (ssize_t)f->n) {
			w->frames++;
			w->bytes += f->n;
		}
		w->first = (w->first + 1) % FRAMES;
		w->n--;
	}
}

static void shape(struct link *l, const char *text)
{
	char *end;
	uint64_t rate = strtoull(text, &end, 10);
	uint64_t ms = strtoull(end, &end, 10);

	if (*end != '\0' || ms > 10000) {
		(void)fprintf(stderr, "shape BITS MS, not \"%s\"\n", text);
		exit(2);
	}
	l->rate = rate;
	l->delay = ms * (SECOND / 1000);
	l->ways[0].free_at = l->ways[1].free_at = 0;
}

static void count(struct link *l)
{
	static const char *const names[] = {"A-B", "B-A"};

	for (int i = 0; i < 2; i++) {
		printf("%s %llu %llu%s", names[i], (unsigned long long)l->ways[i].frames,
		       (unsigned long long)l->ways[i].bytes, i == 0 ? " " : "\n");
		l->ways[i].frames = l->ways[i].bytes = 0;
	}
	(void)fflush(stdout);
}

static void obey(struct link *l, const char *line)
{
	if (strncmp(line, "shape ", 6) == 0)
		shape(l, line + 6);
	else if (strcmp(line, "cut") == 0)
		l->cut = true;
	else if (strcmp(line, "mend") == 0)
		l->cut = false;
	else if (strcmp(line, "count") == 0)
		count(l);
	else if (strcmp(line, "end") == 0)
		exit(0);
	else
		(void)fprintf(stderr, "no such order: %s\n", line);
}

static void listen_to(struct link *l)
{
	char c;

	while (read(l->control, &c, 1) == 1) {
		if (c != '\n' && l->line_n + 1 < LINE) {
			l->line[l->line_n++] = c;
			continue;
		}
		l->line[l->line_n] = '\0';
		l->line_n = 0;
		obey(l, l->line);
	}
}

/* Until a frame has arrived, or for long. */
static struct timespec wait_for(const struct link *l)
{
	uint64_t now = now_ns(), until = now + SECOND;

	for (int i = 0; i < 2; i++) {
		const struct way *w = &l->ways[i];

		if (w->n > 0 && w->v[w->first].arrives < until)
			until = w->v[w->first].arrives;
	}
	until = until > now ? until - now : 0;
	return (struct timespec){(time_t)(until / SECOND), (long)(until % SECOND)};
}

static void run(struct link *l)
{
	for (;;) {
		struct pollfd p[] = {{.fd = l->ways[0].from, .events = POLLIN},
				     {.fd = l->ways[1].from, .events = POLLIN},
				     {.fd = l->control, .events = POLLIN}};
		struct timespec t = wait_for(l);

		if (ppoll(p, 3, &t, NULL) < 0 && errno != EINTR)
			die("ppoll");
		listen_to(l);
		for (int i = 0; i < 2; i++) {
			read_all(l, &l->ways[i]);
			deliver(l, &l->ways[i]);
		}
	}
}

int main(int argc, char **argv)
{
	struct link l = {0};
	int a, b;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: cutover-link A B CONTROL\n");
		return 2;
	}
	a = tap(argv[1]);
	b = tap(argv[2]);
	l.ways[0] = (struct way){.from = a, .to = b};
	l.ways[1] = (struct way){.from = b, .to = a};
	/* for writing too: it has no end while others come and go */
	l.control = open(argv[3], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (l.control < 0)
		die(argv[3]);
	for (int i = 0; i < 2; i++) {
		l.ways[i].v = calloc(FRAMES, sizeof(*l.ways[i].v));
		if (l.ways[i].v == NULL)
			die("calloc");
	}
	(void)puts("ready");
	(void)fflush(stdout);
	run(&l);
}
