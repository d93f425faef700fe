/* How long an engine takes to seal and to open a message, by message size and batch.
 *
 * usage: aead_bench [--check | ENGINE]. Messages lie back to back as on the transmit path, each batch under
 * one key. Opening is timed on freshly sealed batches; their sealing is not counted. */
#include "bench/micro/micro.h"
#include "common/err.h"
#include "tunneld/aead/aead.h"

enum { MESSAGE_MAX = 1420, STRIDE = MESSAGE_MAX + AEAD_TAG_BYTES };

static struct micro micro;
static uint8_t text[AEAD_BATCH_MAX][STRIDE];
static uint8_t key[AEAD_KEY_BYTES] = {1, 2, 3, 4};

static void batch_setup(struct aead_job *jobs, size_t batch, uint32_t length)
{
    for (size_t i = 0; i < batch; i++)
        jobs[i] = (struct aead_job){.key = key, .counter = i, .data = text[i], .length = length};
}

struct figures {
    double seal_ns, open_ns;
};

/* Average times of one message over one round. */
static struct figures round_measure(const struct aead_engine *engine, struct aead_job *jobs, size_t batch)
{
    uint64_t seal_ns = 0, open_ns = 0, messages = 0;

    do {
        uint64_t start = micro_cpu_ns(), middle;

        engine->seal(jobs, batch);
        middle = micro_cpu_ns();
        engine->open(jobs, batch);
        open_ns += micro_cpu_ns() - middle;
        seal_ns += middle - start;
        messages += batch;
        for (size_t i = 0; i < batch; i++) {
            if (!jobs[i].ok) {
                fprintf(stderr, "aead_bench: %s does not open what it sealed\n", engine->name);
                exit(1);
            }
        }
    } while (seal_ns + open_ns < micro.round_ns);
    return (struct figures){(double)seal_ns / (double)messages, (double)open_ns / (double)messages};
}

static void engine_measure(const struct aead_engine *engine)
{
    static const uint32_t lengths[] = {64, 512, 1420};
    static const size_t batches[] = {1, 8, 44, 128};

    for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
        for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
            struct aead_job jobs[AEAD_BATCH_MAX];
            struct figures best = {1e12, 1e12};

            batch_setup(jobs, batches[b], lengths[l]);
            for (int r = 0; r < micro.rounds; r++) {
                struct figures f = round_measure(engine, jobs, batches[b]);

                best.seal_ns = f.seal_ns < best.seal_ns ? f.seal_ns : best.seal_ns;
                best.open_ns = f.open_ns < best.open_ns ? f.open_ns : best.open_ns;
            }
            printf("%-10s %5u bytes, batch %3zu: seal %7.1f ns %6.2f Gbit/s, open %7.1f ns %6.2f Gbit/s\n",
                   engine->name, lengths[l], batches[b], best.seal_ns, lengths[l] * 8 / best.seal_ns,
                   best.open_ns, lengths[l] * 8 / best.open_ns);
        }
    }
}

int main(int argc, char **argv)
{
    unsigned measured = 0;
    micro = micro_start(argc, argv);

    for (size_t i = 0; aead_engines[i]; i++) {
        if (argc > 1 && !micro.check && strcmp(argv[1], aead_engines[i]->name) != 0)
            continue;
        if (aead_engines[i]->init() != NX_OK) {
            printf("%-10s not on this machine\n", aead_engines[i]->name);
            continue;
        }
        engine_measure(aead_engines[i]);
        measured++;
    }
    if (!measured)
        fprintf(stderr, "aead_bench: no engine to measure\n");
    return measured ? 0 : 1;
}
