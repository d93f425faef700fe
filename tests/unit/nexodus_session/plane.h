/* A small control plane on the simulated clock: one VPC, devices with revisions, registration keys, device
 * tokens, event streams. Faults are switched on by the test. */
#ifndef NEXD_TESTS_NEXODUS_SESSION_PLANE_H
#define NEXD_TESTS_NEXODUS_SESSION_PLANE_H

#include "tests/unit/nexodus_session/sim.h"

enum { PLANE_DEVICES = 32, PLANE_STREAMS = 8, PLANE_LATENCY_MS = 5 };
#define PLANE_VPC   "9ca40621-edb0-476f-8e30-727f4703ff80"
#define PLANE_KEY   "RK:6KStHVqrOLuNFamoTCXTF5M6yE+pUDSg7tiHYEWkA0E="
#define PLANE_USER  "3cfd41f4-5398-4c82-b644-107f72cee379"
#define PLANE_OTHER "11111111-2222-4333-8444-555555555555"

struct plane_device {
    bool there, ours; /* ours: registered through the API */
    char id[64], key[KEY_TEXT_MAX], token[64], hostname[64];
    char endpoints[256];
    unsigned number; /* 100.64.0.number */
    uint64_t revision;
};

struct plane {
    struct sim *sim;
    struct plane_device devices[PLANE_DEVICES];
    unsigned count, registrations, tokens;
    uint64_t revision;
    struct {
        unsigned request; /* 0 = free */
        bool tailed;
    } streams[PLANE_STREAMS];
    const char *group_rules; /* inbound_rules of the VPC's group; NULL = none */
    /* Faults: */
    bool refuses;     /* no connection at all */
    bool key_dead;    /* the registration key is revoked: 401 */
    bool tokens_dead; /* no device token is good, however fresh */
    unsigned status;  /* everything is answered with this; 0 = normal */
    const char *status_body, *retry_after;
    uint64_t stream_life_ms; /* streams are cut after so long; 0 = never */
    bool conflict_foreign;   /* the first registration meets somebody else's device */
    const char *(*tamper)(const struct sim_request *request); /* this body instead; NULL = as it is */
    const char *stream_extra;                                 /* sent at the beginning of each whole list */
    bool no_token;                                            /* registrations give no device token */
};

void plane_init(struct plane *plane, struct sim *sim);
/* Another member of the network; its endpoint is 198.51.100.NUMBER:41000. */
struct plane_device *plane_add(struct plane *plane, unsigned number);
/* Tells the streams. */
void plane_change(struct plane *plane, struct plane_device *device, const char *endpoint);
void plane_delete(struct plane *plane, struct plane_device *device);
void plane_event(struct plane *plane, const char *event);
/* Ends all streams. */
void plane_cut(struct plane *plane, enum http_failure failure);
/* Our own device, NULL = it is not registered. */
struct plane_device *plane_ours(struct plane *plane);

#endif
