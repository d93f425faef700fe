/* `nexctl nexd top`: throughput by rule and by peer, from two samples of what nexd has counted. */
#ifndef NEXD_NEXCTL_TOP_H
#define NEXD_NEXCTL_TOP_H

#include "nexctl/peers.h"

enum top_kind { TOP_RULE, TOP_PEER };

/* One rule or peer, as counted so far. */
struct top_row {
    enum top_kind kind;
    char *name; /* "--egress tcp:…", or a public key */
    uint64_t live, to_mesh_bytes, to_host_bytes;
    uint64_t to_mesh_per_s, to_host_per_s; /* top_rate() */
};

struct top_sample {
    uint64_t time_ns; /* monotonic, of its taking */
    struct top_row *rows;
    size_t count, capacity;
};

/* Reads the results of ListRuleStats and ListPeers. NX_EPROTO, NX_ENOMEM: nothing to free. */
int top_sample_parse(const char *rules, const char *peers, uint64_t time_ns, struct top_sample *out);
void top_sample_free(struct top_sample *sample);
/* Fills in the rates of `now`: what was added since `before`, a second. What is new, or counts from zero
 * again, has its whole count as added. Sorts `now` by kind, then the fastest first. */
void top_rate(const struct top_sample *before, struct top_sample *now);

struct top_style {
    enum output_form form;
    bool colour;
    size_t lines; /* of the terminal; 0 = no bound */
};
/* Prints a sample whose rates are known. In the forms other than tables: an object with `rules` and `peers`.
 * NX_ENOMEM. */
int top_print(FILE *out, const struct top_sample *sample, const struct top_style *style);

/* As rpc_call(). */
typedef int (*top_call_fn)(const void *arg, const char *method, char **result, char *error);

/* Takes samples `interval_s` apart. To a terminal, in a table form: shows each until it is interrupted, and
 * goes on when nexd is away for a while. Else one, after one interval. On failure as rpc_call(), `error`
 * filled in (RPC_ERROR_MAX bytes). */
int top_run(FILE *out, unsigned interval_s, bool terminal, struct top_style style, top_call_fn call,
            const void *arg, char *error);

#endif
