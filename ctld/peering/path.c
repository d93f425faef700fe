/* A method stays until it fails, whatever better one has become usable. It has failed
 *
 *   - 30 s after it was chosen, if nothing has come from the peer by then;
 *   - 180 s after it was last healthy, if it has worked;
 *   - at once, for the way through a relay, when the relay is not healthy.
 *
 * Then the next usable one is tried, and after the last the first. Healthy means a handshake of at most 210
 * s: with keepalives every 20 s there is one every two minutes.
 *
 * A handshake counts for the present method if it is younger than the choice, or if bytes have come in since:
 * a session outlives a change of endpoint, so that flows go on, and has no handshake of its own to show for
 * it. (The peer sends keepalives every 20 s, so that this is known in time.) */
#include "ctld/peering/path.h"

#include "common/clock.h"

void path_init(struct path *path)
{
    *path = (struct path){.method = METHOD_NONE, .rx_known = true};
}

void path_reset(struct path *path)
{
    path->method = METHOD_NONE;
    path->rx_known = false; /* what has come in since the last report came the old way */
}

void path_report(struct path *path, uint64_t handshake_ns, uint64_t rx_bytes, const struct netsock *seen)
{
    const bool grown = path->rx_known && rx_bytes > path->rx_bytes;
    path->rx_bytes = rx_bytes;
    path->rx_known = true;
    path->seen = *seen;
    if (handshake_ns > path->handshake_ns) /* a tunnel that was restarted does not know of older ones */
        path->handshake_ns = handshake_ns;
    if (path->handshake_ns != 0 && (grown || path->handshake_ns > path->chosen_ns))
        path->proven = true;
}

static uint64_t healthy_until_ns(const struct path *path)
{
    return path->proven ? path->handshake_ns + PATH_HEALTHY_MS * NS_PER_MS : 0;
}

bool path_healthy(const struct path *path, bool relay_healthy, uint64_t now_ns)
{
    switch (method_via(path->method)) {
    case VIA_RELAY:
        return relay_healthy;
    case VIA_TUNNEL:
    case VIA_DERP:
        return now_ns <= healthy_until_ns(path);
    case VIA_NOTHING:
        break;
    }
    return false;
}

/* Of a method that is not healthy. */
static uint64_t fails_at_ns(const struct path *path)
{
    return path->proven ? healthy_until_ns(path) + PATH_RESTORE_MS * NS_PER_MS
                        : path->chosen_ns + PATH_FIRST_SUCCESS_MS * NS_PER_MS;
}

static bool has_failed(const struct path *path, const struct method_facts *facts, uint64_t now_ns)
{
    if (path->method == METHOD_NONE || path_healthy(path, facts->relay_healthy, now_ns))
        return false;
    return method_via(path->method) == VIA_RELAY || now_ns >= fails_at_ns(path);
}

static enum method next_method(const struct path *path, const struct method_facts *facts, bool failed)
{
    enum method next = method_from(failed ? path->method + 1 : path->method, facts);
    if (next == METHOD_NONE)
        next = method_from(0, facts);
    /* What cannot be served yet is still named, where nothing else is left. */
    return next == METHOD_NONE && method_usable(METHOD_VIA_DERP, facts) ? METHOD_VIA_DERP : next;
}

void path_choose(struct path *path, const struct method_facts *facts, uint64_t now_ns)
{
    const bool failed = has_failed(path, facts, now_ns);
    const enum method next = next_method(path, facts, failed);
    const struct netsock endpoint = method_endpoint(next, facts);
    if (next == path->method && !failed) {
        path->endpoint = endpoint;
        return;
    }
    const bool same = method_via(next) == VIA_TUNNEL && endpoint.addr.family != NETADDR_NONE &&
                      (netsock_equal(&endpoint, &path->endpoint) || netsock_equal(&endpoint, &path->seen));
    path->method = next;
    path->chosen_ns = now_ns;
    path->endpoint = endpoint;
    path->proven = path->proven && same && !failed;
    if (method_via(next) == VIA_TUNNEL)
        return;
    path->seen = (struct netsock){0}; /* the tunnel forgets the peer, and its counters with it */
    path->rx_bytes = 0;
    path->rx_known = true;
}

uint64_t path_next_ns(const struct path *path, uint64_t now_ns)
{
    if (path->method == METHOD_NONE || method_via(path->method) == VIA_RELAY)
        return UINT64_MAX;
    if (now_ns <= healthy_until_ns(path))
        return healthy_until_ns(path) + 1;
    return fails_at_ns(path);
}
