/* The one table of messages between the processes.
 *
 * A message is declared once, below; from the declaration follow its C struct, the encoder, the validating
 * decoder, the debug printer and the list of who may send it to whom. To add a message: add a
 * line to IPC_MESSAGES and an IPC_FIELDS_… list. To change one: raise IPC_VERSION.
 *
 * On the wire (host byte order: both ends are one machine, one build): struct ipc_header, then the fields in
 * order, unpadded. Descriptors travel as SCM_RIGHTS in field order.
 *
 * Field kinds F(KIND, name, a, b):
 *   U8 U16 U32 U64  unsigned, a <= value <= b
 *   BOOL            one byte, 0 or 1
 *   ENUM            one byte, a <= value <= b
 *   KEY             32 bytes, public
 *   SECRET          32 bytes; the printer hides it, the link wipes its buffers
 *   ADDR            struct netaddr; a = 1: may be absent (NETADDR_NONE)
 *   SOCK            struct netsock; a = 1: may be absent; port 1..65535 otherwise
 *   PREFIXES        up to a prefixes, each with bits beyond its length zero
 *   ADDRS           up to a addresses, none absent
 *   NAME            printable ASCII without blanks, at most 253 bytes: a host name or address; a = 1: may be
 *                   empty
 *   TEXT            up to a bytes of UTF-8 without control characters
 *   BLOB            up to a bytes of anything; treated as secret: the printer shows its length only
 *   FD              a descriptor of kind a (enum ipc_fd_kind); b = 1: may be absent (-1)
 */
#ifndef NEXD_IPC_MESSAGES_H
#define NEXD_IPC_MESSAGES_H

#include "common/netaddr.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    IPC_VERSION = 5,
    IPC_NAME_MAX = 253,
    IPC_TEXT_MAX = 512,
    IPC_VERSION_TEXT_MAX = 64,
    IPC_FLOWS_MAX = 20000,
    IPC_LAST_ERROR_MAX = 200,
    IPC_METRICS_MAX = 255,
    IPC_URL_MAX = 512,
    IPC_UUID_MAX = 36,
    IPC_CREDENTIAL_MAX = 4096,
    IPC_POLICY_FILE_MAX = 200,
    IPC_POLICY_LINE_MAX = 1000,
    IPC_STORED_MAX = 7168,
    IPC_PREFIXES_MAX = 128,
    IPC_ADDRS_MAX = 16,
    IPC_FDS_MAX = 4,
    IPC_BODY_MAX = 8192
};

enum ipc_role { IPC_PARENT = 1, IPC_TUNNELD, IPC_PROXYD, IPC_CTLD };
enum ipc_fd_kind {
    IPC_FD_TCP_CONNECTED = 1, /* SOCK_STREAM, IPv4/IPv6, has a peer, or had one (reset since) */
    IPC_FD_TCP_LISTENER,      /* SOCK_STREAM, IPv4/IPv6, SO_ACCEPTCONN */
    IPC_FD_UDP_BOUND,         /* SOCK_DGRAM, IPv4/IPv6, bound, no peer */
    IPC_FD_UDP_CONNECTED,     /* SOCK_DGRAM, IPv4/IPv6, has a peer */
    IPC_FD_LINK,              /* AF_UNIX SOCK_SEQPACKET, connected */
    IPC_FD_UNIX_LISTENER,     /* AF_UNIX SOCK_STREAM, SO_ACCEPTCONN */
    IPC_FD_UNIX_CLIENT,       /* AF_UNIX SOCK_STREAM, accepted or connected; its peer may be gone */
    IPC_FD_BY_PROTOCOL, /* TCP or UDP connected, as the ENUM field before it (enum rule_protocol) says */
};
enum ipc_outcome {
    IPC_OK = 0,
    IPC_FAILED,      /* anything not named below; the text says more */
    IPC_REFUSED,     /* ECONNREFUSED: answered by a reset */
    IPC_UNREACHABLE, /* no route, or an ICMP error */
    IPC_TIMED_OUT,
    IPC_NOT_FOUND,     /* no such rule, name does not resolve */
    IPC_IN_USE,        /* the port is taken */
    IPC_NOT_PERMITTED, /* a right is missing */
    IPC_LIMIT,         /* a bound of this program is reached */
    IPC_POLICY,        /* the operator's policy says no; the text names its line */
    IPC_RESULT_LAST = IPC_POLICY,
};

/* Of TCP connections in the mesh. */
enum ipc_congestion { IPC_CONGESTION_BBR, IPC_CONGESTION_CUBIC, IPC_CONGESTION_LAST = IPC_CONGESTION_CUBIC };
enum ipc_flow_state {
    IPC_FLOW_CONNECTING = 1, /* the far side has not answered yet */
    IPC_FLOW_OPEN,
    IPC_FLOW_HOST_ENDED, /* the host's side has sent its end, the mesh's has not */
    IPC_FLOW_MESH_ENDED, /* the other way round */
    IPC_FLOW_LAST = IPC_FLOW_MESH_ENDED,
};

enum ipc_credential_kind {
    IPC_CREDENTIAL_REG_KEY = 1, /* "RK:…" */
    IPC_CREDENTIAL_USERNAME,
    IPC_CREDENTIAL_PASSWORD,
    IPC_CREDENTIAL_PROXY, /* URL of the operator's HTTP proxy; may hold a password */
    IPC_CREDENTIAL_LAST = IPC_CREDENTIAL_PROXY,
};
/* What the parent keeps for ctld in the state folder; each slot is one document. */
enum ipc_slot {
    IPC_SLOT_AUTH_TOKEN = 1, /* state.json's auth-token: the OAuth token of a user's login */
    IPC_SLOT_DEVICE,         /* our device at the control plane: id, VPC, device token */
    IPC_SLOT_NETWORK,        /* the last known VPC and devices */
    IPC_SLOT_LAST = IPC_SLOT_NETWORK,
};
enum ipc_outlet_kind {
    IPC_OUTLET_SERVICE = 1, /* the control plane's API */
    IPC_OUTLET_PROXY,       /* the operator's HTTP proxy */
    IPC_OUTLET_LAST = IPC_OUTLET_PROXY,
};
enum ipc_join_phase {
    IPC_PHASE_STARTING = 1,
    IPC_PHASE_LOGIN,   /* a user has to act: LOGIN_PROMPT says how */
    IPC_PHASE_JOINING, /* the control plane is asked, or does not answer yet */
    IPC_PHASE_CACHED,  /* runs with what was known last; the control plane does not answer */
    IPC_PHASE_JOINED,
    IPC_PHASE_LAST = IPC_PHASE_JOINED,
};

/* Bits of "who may send it to whom". */
#define IPC_WAY(from, to) (1u << (((from)-1) * 4 + ((to)-1)))
#define IPC_P_T           IPC_WAY(IPC_PARENT, IPC_TUNNELD)
#define IPC_T_P           IPC_WAY(IPC_TUNNELD, IPC_PARENT)
#define IPC_P_X           IPC_WAY(IPC_PARENT, IPC_PROXYD)
#define IPC_X_P           IPC_WAY(IPC_PROXYD, IPC_PARENT)
#define IPC_P_C           IPC_WAY(IPC_PARENT, IPC_CTLD)
#define IPC_C_P           IPC_WAY(IPC_CTLD, IPC_PARENT)
#define IPC_C_T           IPC_WAY(IPC_CTLD, IPC_TUNNELD)
#define IPC_T_C           IPC_WAY(IPC_TUNNELD, IPC_CTLD)
#define IPC_C_X           IPC_WAY(IPC_CTLD, IPC_PROXYD)
#define IPC_X_C           IPC_WAY(IPC_PROXYD, IPC_CTLD)
#define IPC_X_T           IPC_WAY(IPC_PROXYD, IPC_TUNNELD)
#define IPC_T_X           IPC_WAY(IPC_TUNNELD, IPC_PROXYD)
#define IPC_FROM_PARENT   (IPC_P_T | IPC_P_X | IPC_P_C)
#define IPC_TO_PARENT     (IPC_T_P | IPC_X_P | IPC_C_P)

/*        NAME              struct ipc_…      number  ways */
#define IPC_MESSAGES(M)                                                                                      \
    M(HELLO, hello, 1, IPC_TO_PARENT)                                                                        \
    M(LINK, sibling, 2, IPC_FROM_PARENT)                                                                     \
    M(LINK_DOWN, link_down, 3, IPC_FROM_PARENT)                                                              \
    M(SHUTDOWN, shutdown, 4, IPC_FROM_PARENT)                                                                \
    M(LOG_LEVEL, log_level, 5, IPC_FROM_PARENT | IPC_C_P)                                                    \
    M(RESULT, result, 6,                                                                                     \
      IPC_TO_PARENT | IPC_C_T | IPC_T_C | IPC_C_X | IPC_X_C | IPC_X_T | IPC_T_X | IPC_FROM_PARENT)           \
    M(LINK_BROKEN, link_broken, 7, IPC_TO_PARENT)                                                            \
    M(SANDBOX, sandbox, 8, IPC_P_C)                                                                          \
    M(SANDBOX_QUERY, sandbox_query, 9, IPC_C_P)                                                              \
    M(TUNNEL_CONFIG, tunnel_config, 10, IPC_P_T)                                                             \
    M(TUNNEL_SOCKETS, tunnel_sockets, 11, IPC_P_T)                                                           \
    M(TUNNEL_READY, tunnel_ready, 12, IPC_T_P)                                                               \
    M(PEER_SECRET, peer_secret, 13, IPC_P_T)                                                                 \
    M(PEERS_SYNC, peers_sync, 14, IPC_C_T)                                                                   \
    M(PEER_SET, peer_set, 15, IPC_C_T)                                                                       \
    M(PEER_REMOVE, peer_remove, 16, IPC_C_T)                                                                 \
    M(PEERS_QUERY, peers_query, 17, IPC_C_T)                                                                 \
    M(PEER_STATUS, peer_status, 18, IPC_T_C)                                                                 \
    M(STUN_SEND, stun_send, 60, IPC_C_T)                                                                     \
    M(STUN_ANSWER, stun_answer, 61, IPC_T_C)                                                                 \
    M(RULE_ADD, rule_add, 20, IPC_FROM_PARENT)                                                               \
    M(RULE_REMOVE, rule_remove, 21, IPC_FROM_PARENT)                                                         \
    M(LISTENER_KEEP, listener_keep, 22, IPC_X_P | IPC_P_X)                                                   \
    M(UDP_KEEP, udp_keep, 23, IPC_X_P | IPC_P_X)                                                             \
    M(TUNNEL_BIND, tunnel_bind, 24, IPC_P_X)                                                                 \
    M(RULE_REQUEST, rule_request, 26, IPC_C_P)                                                               \
    M(TUNNEL_BOUND, tunnel_bound, 25, IPC_X_P)                                                               \
    M(EGRESS_TCP, egress_tcp, 30, IPC_X_T)                                                                   \
    M(EGRESS_UDP, egress_udp, 31, IPC_X_T)                                                                   \
    M(EGRESS_UDP_STOP, egress_udp_stop, 32, IPC_X_T)                                                         \
    M(DEST_QUERY, dest_query, 33, IPC_T_X)                                                                   \
    M(DEST, dest, 34, IPC_X_T)                                                                               \
    M(CONNECT, connect, 35, IPC_T_X)                                                                         \
    M(CONNECTED, connected, 36, IPC_X_T)                                                                     \
    M(CONNECT_CANCEL, connect_cancel, 37, IPC_T_X | IPC_C_X)                                                 \
    M(RESOLVE, resolve, 40, IPC_C_X)                                                                         \
    M(RESOLVED, resolved, 41, IPC_X_C)                                                                       \
    M(MESH_SYNC, mesh_sync, 42, IPC_C_X)                                                                     \
    M(MESH_NAME, mesh_name, 43, IPC_C_X)                                                                     \
    M(DEVICE, device, 50, IPC_P_C)                                                                           \
    M(STATIC_PEER, static_peer, 51, IPC_P_C)                                                                 \
    M(STATIC_DONE, static_done, 52, IPC_P_C)                                                                 \
    M(CONTROL_SOCKET, control_socket, 53, IPC_P_C)                                                           \
    M(REPORT_VERSION, report_version, 54, IPC_P_C)                                                           \
    M(PING, ping, 70, IPC_C_T)                                                                               \
    M(PONG, pong, 71, IPC_T_C)                                                                               \
    M(FLOWS_QUERY, flows_query, 72, IPC_C_T)                                                                 \
    M(FLOW_STATUS, flow_status, 73, IPC_T_C)                                                                 \
    M(RULE_STATS_QUERY, rule_stats_query, 74, IPC_C_T | IPC_C_X)                                             \
    M(RULE_STATS, rule_stats, 75, IPC_T_C | IPC_X_C)                                                         \
    M(RULE_PROBLEM, rule_problem, 76, IPC_P_C)                                                               \
    M(NETWORK, network, 80, IPC_P_C)                                                                         \
    M(NETWORK_DONE, network_done, 81, IPC_P_C)                                                               \
    M(CREDENTIAL, credential, 82, IPC_P_C)                                                                   \
    M(STUN_SERVER, stun_server, 83, IPC_P_C)                                                                 \
    M(STORED, stored, 84, IPC_P_C | IPC_C_P)                                                                 \
    M(MESH_ADDRESSES, mesh_addresses, 85, IPC_C_P)                                                           \
    M(KEY_RENEW, key_renew, 86, IPC_C_P)                                                                     \
    M(LOGIN_PROMPT, login_prompt, 87, IPC_C_P)                                                               \
    M(PHASE, phase, 88, IPC_C_P)                                                                             \
    M(GIVE_UP, give_up, 89, IPC_C_P)                                                                         \
    M(OUTLET, outlet, 90, IPC_P_X)                                                                           \
    M(OUTLET_ISSUER, outlet_issuer, 91, IPC_C_X)                                                             \
    M(OPEN, open, 92, IPC_C_X)                                                                               \
    M(OPENED, opened, 93, IPC_X_C)                                                                           \
    M(DRAIN, drain, 100, IPC_C_P | IPC_P_X | IPC_P_C)                                                        \
    M(METRICS_BIND, metrics_bind, 101, IPC_P_X)                                                              \
    M(METRICS_BOUND, metrics_bound, 102, IPC_X_P)                                                            \
    M(METRICS_SOCKET, metrics_socket, 103, IPC_P_C)                                                          \
    M(METRICS_QUERY, metrics_query, 104, IPC_C_P | IPC_C_T | IPC_C_X)                                        \
    M(METRIC, metric, 105, IPC_P_C | IPC_T_C | IPC_X_C)                                                      \
    M(POLICY, policy, 110, IPC_P_X | IPC_P_C)                                                                \
    M(POLICY_LINE, policy_line, 111, IPC_P_X | IPC_P_C)                                                      \
    M(FLOW_LIMITS, flow_limits, 112, IPC_P_T)                                                                \
    M(CALLER, caller, 113, IPC_C_P)                                                                          \
    M(ALIVE_QUERY, alive_query, 120, IPC_FROM_PARENT)                                                        \
    M(ALIVE, alive, 121, IPC_TO_PARENT)

/* A child is set up, sandboxed and waits for its configuration. Of the sandbox, what the kernel took:
 * `missing` are bits of enum sandbox_layer, the last three are Landlock's, as the kernel's interface has
 * them. */
#define IPC_FIELDS_HELLO(F)                                                                                  \
    F(U32, version, IPC_VERSION, IPC_VERSION)                                                                \
    F(ENUM, role, IPC_TUNNELD, IPC_CTLD)                                                                     \
    F(U32, pid, 1, UINT32_MAX)                                                                               \
    IPC_FIELDS_OF_SANDBOX(F)
#define IPC_FIELDS_OF_SANDBOX(F)                                                                             \
    F(BOOL, strict, 0, 1)                                                                                    \
    F(U32, missing, 0, UINT32_MAX)                                                                           \
    F(U32, landlock_abi, 0, UINT32_MAX)                                                                      \
    F(U64, fs, 0, UINT64_MAX)                                                                                \
    F(U64, net, 0, UINT64_MAX)                                                                               \
    F(U64, scoped, 0, UINT64_MAX)
/* The same of any process, the parent included, to be shown to an operator. */
#define IPC_FIELDS_SANDBOX(F)                                                                                \
    F(ENUM, role, IPC_PARENT, IPC_CTLD)                                                                      \
    F(U32, pid, 1, UINT32_MAX)                                                                               \
    IPC_FIELDS_OF_SANDBOX(F)
/* Answered by one SANDBOX for each process that runs, then RESULT. */
#define IPC_FIELDS_SANDBOX_QUERY(F) F(U8, version, 1, 1)
/* A link to a sibling, at start and again after each restart of either side. It replaces any older one. */
#define IPC_FIELDS_LINK(F)                                                                                   \
    F(ENUM, peer, IPC_TUNNELD, IPC_CTLD)                                                                     \
    F(U32, generation, 1, UINT32_MAX)                                                                        \
    F(FD, fd, IPC_FD_LINK, 0)
/* That sibling died: the link of this generation carries nothing more. */
#define IPC_FIELDS_LINK_DOWN(F)                                                                              \
    F(ENUM, peer, IPC_TUNNELD, IPC_CTLD)                                                                     \
    F(U32, generation, 1, UINT32_MAX)
/* What came over the link of this generation broke the protocol: its sender is to be restarted. */
#define IPC_FIELDS_LINK_BROKEN(F)                                                                            \
    F(ENUM, peer, IPC_TUNNELD, IPC_CTLD)                                                                     \
    F(U32, generation, 1, UINT32_MAX)
/* Are you alive? Answered at once by ALIVE with the same number, from the event loop, whatever else is going
 * on. */
#define IPC_FIELDS_ALIVE_QUERY(F) F(U32, number, 1, UINT32_MAX)
#define IPC_FIELDS_ALIVE(F)       F(U32, number, 1, UINT32_MAX)
/* Close flows properly and exit within grace_ms. */
#define IPC_FIELDS_SHUTDOWN(F) F(U32, grace_ms, 0, 3600000)
/* From ctld: a wish of the operator's, answered by RESULT once all processes have been told. */
#define IPC_FIELDS_LOG_LEVEL(F) F(ENUM, level, 0, 4)
/* Answer to a request that has no answer of its own, or its failure. */
#define IPC_FIELDS_RESULT(F)                                                                                 \
    F(ENUM, result, 0, IPC_RESULT_LAST)                                                                      \
    F(TEXT, text, IPC_TEXT_MAX, 0)
#define IPC_FIELDS_TUNNEL_CONFIG(F)                                                                          \
    F(SECRET, private_key, 0, 0)                                                                             \
    F(U16, mtu, 1280, 9000)                                                                                  \
    F(ADDRS, addresses, IPC_ADDRS_MAX, 0)                                                                    \
    F(ENUM, congestion_control, 0, IPC_CONGESTION_LAST)
#define IPC_FIELDS_TUNNEL_SOCKETS(F)                                                                         \
    F(FD, udp4, IPC_FD_UDP_BOUND, 0)                                                                         \
    F(FD, udp6, IPC_FD_UDP_BOUND, 1)
/* Configuration, sockets and peers are in place: packets can be sent. */
#define IPC_FIELDS_TUNNEL_READY(F) F(KEY, public_key, 0, 0)
#define IPC_FIELDS_PEER_SECRET(F)                                                                            \
    F(KEY, public_key, 0, 0)                                                                                 \
    F(SECRET, preshared_key, 0, 0)
/* begin = 1: every known peer is now stale; begin = 0: peers still stale are removed. */
#define IPC_FIELDS_PEERS_SYNC(F) F(BOOL, begin, 0, 0)
/* Creates or updates. Without `append` the allowed prefixes replace the old ones. An absent endpoint leaves a
 * learned one in place. */
#define IPC_FIELDS_PEER_SET(F)                                                                               \
    F(KEY, public_key, 0, 0)                                                                                 \
    F(SOCK, endpoint, 1, 0)                                                                                  \
    F(U16, keepalive_s, 0, 65535)                                                                            \
    F(BOOL, append, 0, 0)                                                                                    \
    F(PREFIXES, allowed, IPC_PREFIXES_MAX, 0)
#define IPC_FIELDS_PEER_REMOVE(F) F(KEY, public_key, 0, 0)
/* Answered by one PEER_STATUS for each peer, then RESULT. */
#define IPC_FIELDS_PEERS_QUERY(F) F(U8, version, 1, 1)
#define IPC_FIELDS_PEER_STATUS(F)                                                                            \
    F(KEY, public_key, 0, 0)                                                                                 \
    F(SOCK, endpoint, 1, 0)                                                                                  \
    F(U64, handshake_unix_s, 0, UINT64_MAX)                                                                  \
    F(U64, rx_bytes, 0, UINT64_MAX)                                                                          \
    F(U64, tx_bytes, 0, UINT64_MAX)                                                                          \
    F(PREFIXES, allowed, IPC_PREFIXES_MAX, 0)
/* Ask this STUN server, once and from the tunnel's own UDP socket, under which address that socket is seen.
 * tunneld makes the request itself, transaction id included, so that ctld decides where a datagram goes but
 * not what is in it. Answered by STUN_ANSWER; by RESULT if it cannot be sent (IPC_LIMIT: too many a second)
 * or the server refuses; not at all if no answer comes: ctld keeps the time. */
#define IPC_FIELDS_STUN_SEND(F) F(SOCK, server, 0, 0)
/* `server` as in the request; `mapped` is what the server saw. */
#define IPC_FIELDS_STUN_ANSWER(F)                                                                            \
    F(SOCK, server, 0, 0)                                                                                    \
    F(SOCK, mapped, 0, 0)
/* Answered by RESULT once in force (proxyd: bound). `host` is the address or name as written. With
 * `proxy_protocol`, of ingress TCP only, its destination is told first who called. From flows_max on, what
 * the operator's policy grants it (0 = no bound) and the lines that say so: flows at the same time, bytes a
 * second each way. */
#define IPC_FIELDS_RULE_ADD(F)                                                                               \
    F(U32, rule_id, 1, UINT32_MAX)                                                                           \
    F(ENUM, direction, 1, 2)                                                                                 \
    F(ENUM, protocol, 1, 2)                                                                                  \
    F(U16, listen_port, 1, 65535)                                                                            \
    F(NAME, host, 0, 0)                                                                                      \
    F(U16, dest_port, 1, 65535)                                                                              \
    F(BOOL, proxy_protocol, 0, 0)                                                                            \
    F(U32, flows_max, 0, UINT32_MAX)                                                                         \
    F(U32, flows_line, 0, UINT32_MAX)                                                                        \
    F(U64, bytes_per_s_max, 0, UINT64_MAX)
/* Answered by RESULT. Live flows go on unless kill_flows. */
#define IPC_FIELDS_RULE_REMOVE(F)                                                                            \
    F(U32, rule_id, 1, UINT32_MAX)                                                                           \
    F(BOOL, kill_flows, 0, 0)
/* An operator's wish, at run time: this rule is to be added, or removed. Answered by RESULT once it is in
 * force and will survive a restart (removed: once no new flow uses it), or with the reason why not.
 * kill_flows: with `remove`, live flows of the rule end too. */
#define IPC_FIELDS_RULE_REQUEST(F)                                                                           \
    F(BOOL, remove, 0, 0)                                                                                    \
    F(BOOL, kill_flows, 0, 0)                                                                                \
    F(ENUM, direction, 1, 2)                                                                                 \
    F(ENUM, protocol, 1, 2)                                                                                  \
    F(U16, listen_port, 1, 65535)                                                                            \
    F(NAME, host, 0, 0)                                                                                      \
    F(U16, dest_port, 1, 65535)
/* proxyd → parent: keep a duplicate of this egress TCP listener. parent → restarted proxyd: here it is again
 * (before the RULE_ADDs that use it). */
#define IPC_FIELDS_LISTENER_KEEP(F)                                                                          \
    F(U16, port, 1, 65535)                                                                                   \
    F(FD, fd, IPC_FD_TCP_LISTENER, 0)
/* The same for an egress UDP socket (one dual-stack socket a port). */
#define IPC_FIELDS_UDP_KEEP(F)                                                                               \
    F(U16, port, 1, 65535)                                                                                   \
    F(FD, fd, IPC_FD_UDP_BOUND, 0)
/* Bind the tunnel's UDP sockets; port 0 = any. Answered by TUNNEL_BOUND or RESULT. */
#define IPC_FIELDS_TUNNEL_BIND(F) F(U16, port, 0, 65535)
#define IPC_FIELDS_TUNNEL_BOUND(F)                                                                           \
    F(U16, port, 1, 65535)                                                                                   \
    F(FD, udp4, IPC_FD_UDP_BOUND, 0)                                                                         \
    F(FD, udp6, IPC_FD_UDP_BOUND, 1)
/* A local client was accepted on an egress rule's listener: open a mesh connection to `dest` and splice. */
#define IPC_FIELDS_EGRESS_TCP(F)                                                                             \
    F(U32, rule_id, 1, UINT32_MAX)                                                                           \
    F(SOCK, client, 0, 0)                                                                                    \
    F(SOCK, dest, 0, 0)                                                                                      \
    F(FD, fd, IPC_FD_TCP_CONNECTED, 0)
/* An egress UDP port is open: receive clients' datagrams on `fd`. */
#define IPC_FIELDS_EGRESS_UDP(F)                                                                             \
    F(U16, port, 1, 65535)                                                                                   \
    F(FD, fd, IPC_FD_UDP_BOUND, 0)
/* That port's last rule went away: close it and its flows. */
#define IPC_FIELDS_EGRESS_UDP_STOP(F) F(U16, port, 1, 65535)
/* Where does a new egress UDP flow go? Answered by DEST or RESULT. */
#define IPC_FIELDS_DEST_QUERY(F)                                                                             \
    F(U16, port, 1, 65535)                                                                                   \
    F(SOCK, client, 0, 0)
#define IPC_FIELDS_DEST(F)                                                                                   \
    F(U32, rule_id, 1, UINT32_MAX)                                                                           \
    F(SOCK, dest, 0, 0)
/* A mesh peer opens a flow to an ingress rule: connect to one of its destinations. Answered by CONNECTED, or
 * RESULT. */
#define IPC_FIELDS_CONNECT(F)                                                                                \
    F(ENUM, protocol, 1, 2)                                                                                  \
    F(U16, port, 1, 65535)                                                                                   \
    F(SOCK, client, 0, 0)                                                                                    \
    F(SOCK, local, 0, 0)
#define IPC_FIELDS_CONNECTED(F)                                                                              \
    F(U32, rule_id, 1, UINT32_MAX)                                                                           \
    F(SOCK, dest, 0, 0)                                                                                      \
    F(ENUM, protocol, 1, 2)                                                                                  \
    F(FD, fd, IPC_FD_BY_PROTOCOL, 0)
/* The request with this header id is of no use any more; a CONNECTED (ctld: OPENED) may still cross it. */
#define IPC_FIELDS_CONNECT_CANCEL(F) F(U32, request, 1, UINT32_MAX)
/* Answered by RESOLVED or RESULT. */
#define IPC_FIELDS_RESOLVE(F) F(NAME, host, 0, 0)
#define IPC_FIELDS_RESOLVED(F)                                                                               \
    F(U32, ttl_s, 0, UINT32_MAX)                                                                             \
    F(ADDRS, addresses, IPC_ADDRS_MAX, 0)
/* The names of mesh devices, for destinations of egress rules. begin = 1: every name known is now stale;
 * begin = 0: names still stale are forgotten. */
#define IPC_FIELDS_MESH_SYNC(F) F(BOOL, begin, 0, 0)
/* This name has these addresses inside the mesh, whatever it had before; none at all: it is no device's name
 * any more. */
#define IPC_FIELDS_MESH_NAME(F)                                                                              \
    F(NAME, name, 0, 0)                                                                                      \
    F(ADDRS, addresses, IPC_ADDRS_MAX, 0)
/* What ctld may know of this device. */
#define IPC_FIELDS_DEVICE(F)                                                                                 \
    F(KEY, public_key, 0, 0)                                                                                 \
    F(U16, listen_port, 0, 65535)                                                                            \
    F(ADDRS, addresses, IPC_ADDRS_MAX, 0)
/* Static mode: a peer of the configuration file; `append` continues the one before. STATIC_DONE ends the
 * list. */
#define IPC_FIELDS_STATIC_PEER(F)                                                                            \
    F(KEY, public_key, 0, 0)                                                                                 \
    F(NAME, endpoint_host, 1, 0)                                                                             \
    F(U16, endpoint_port, 0, 65535)                                                                          \
    F(U16, keepalive_s, 0, 65535)                                                                            \
    F(BOOL, append, 0, 0)                                                                                    \
    F(PREFIXES, allowed, IPC_PREFIXES_MAX, 0)
#define IPC_FIELDS_STATIC_DONE(F) F(U32, peers, 0, UINT32_MAX)
/* The listening control socket, bound by the parent. */
#define IPC_FIELDS_CONTROL_SOCKET(F) F(FD, fd, IPC_FD_UNIX_LISTENER, 0)
/* What Version on the control socket answers, in place of the program's own version; comes before
 * CONTROL_SOCKET. */
#define IPC_FIELDS_REPORT_VERSION(F) F(TEXT, version, IPC_VERSION_TEXT_MAX, 0)

/* An ICMP echo through the tunnel. Answered by PONG; or by RESULT: IPC_TIMED_OUT, IPC_UNREACHABLE (no peer
 * has that address), IPC_LIMIT (too many at once). */
#define IPC_FIELDS_PING(F)                                                                                   \
    F(ADDR, dest, 0, 0)                                                                                      \
    F(U16, timeout_ms, 1, 60000)
#define IPC_FIELDS_PONG(F) F(U64, round_trip_ns, 0, UINT64_MAX)
/* Answered by one FLOW_STATUS for each live flow, at most `limit`, then RESULT: IPC_LIMIT if there are more.
 */
#define IPC_FIELDS_FLOWS_QUERY(F) F(U32, limit, 1, IPC_FLOWS_MAX)
/* client: who opened it, a local program (egress) or a mesh peer (ingress); dest: where it goes inside the
 * mesh (egress; absent while that is not known), or which of our tunnel addresses was called (ingress). The
 * fields from congestion_control on are of TCP inside the mesh, towards the peer, if transport_known. */
#define IPC_FIELDS_FLOW_STATUS(F)                                                                            \
    F(U32, rule_id, 0, UINT32_MAX)                                                                           \
    F(ENUM, direction, 1, 2)                                                                                 \
    F(ENUM, protocol, 1, 2)                                                                                  \
    F(ENUM, state, 1, IPC_FLOW_LAST)                                                                         \
    F(SOCK, client, 0, 0)                                                                                    \
    F(SOCK, dest, 1, 0)                                                                                      \
    F(BOOL, peer_known, 0, 0)                                                                                \
    F(KEY, peer, 0, 0)                                                                                       \
    F(U64, to_mesh_bytes, 0, UINT64_MAX)                                                                     \
    F(U64, to_host_bytes, 0, UINT64_MAX)                                                                     \
    F(U64, age_ms, 0, UINT64_MAX)                                                                            \
    F(BOOL, transport_known, 0, 0)                                                                           \
    F(ENUM, congestion_control, 0, IPC_CONGESTION_LAST)                                                      \
    F(U64, rtt_us, 0, UINT64_MAX)                                                                            \
    F(U64, min_rtt_us, 0, UINT64_MAX)                                                                        \
    F(U64, cwnd_bytes, 0, UINT64_MAX)                                                                        \
    F(U64, pacing_bytes_per_s, 0, UINT64_MAX)                                                                \
    F(U64, delivery_bytes_per_s, 0, UINT64_MAX)                                                              \
    F(U64, retransmitted_bytes, 0, UINT64_MAX)
/* Answered by one RULE_STATS for each rule that has something to tell, then RESULT. */
#define IPC_FIELDS_RULE_STATS_QUERY(F) F(U8, version, 1, 1)
/* Since the process started. tunneld counts flows, bytes and what fails inside the mesh; proxyd what fails on
 * the host's side. */
#define IPC_FIELDS_RULE_STATS(F)                                                                             \
    F(U32, rule_id, 1, UINT32_MAX)                                                                           \
    F(U64, flows, 0, UINT64_MAX)                                                                             \
    F(U64, live, 0, UINT64_MAX)                                                                              \
    F(U64, to_mesh_bytes, 0, UINT64_MAX)                                                                     \
    F(U64, to_host_bytes, 0, UINT64_MAX)                                                                     \
    F(U64, refused, 0, UINT64_MAX)                                                                           \
    F(U64, timed_out, 0, UINT64_MAX)                                                                         \
    F(U64, unreachable, 0, UINT64_MAX)                                                                       \
    F(U64, limited, 0, UINT64_MAX)                                                                           \
    F(U64, policy, 0, UINT64_MAX)                                                                            \
    F(U64, reset, 0, UINT64_MAX)                                                                             \
    F(U64, failed, 0, UINT64_MAX)                                                                            \
    F(U64, last_error_unix_s, 0, UINT64_MAX)                                                                 \
    F(TEXT, last_error, IPC_LAST_ERROR_MAX, 0)
/* Why a rule that stands is not in force, to be shown; empty: it is in force. Comes again while it lasts. */
#define IPC_FIELDS_RULE_PROBLEM(F)                                                                           \
    F(U32, rule_id, 1, UINT32_MAX)                                                                           \
    F(TEXT, text, IPC_TEXT_MAX, 0)

/* The control plane's network that ctld is to join; sent with each start of ctld, after DEVICE. Then come
 * CREDENTIAL, STUN_SERVER and STORED, and NETWORK_DONE ends it. service_url: "https://HOST[:PORT]", checked;
 * the API is at "api." before HOST. vpc_id, security_group_id: a UUID or empty. no_proxy: as the variable
 * NO_PROXY is written. */
#define IPC_FIELDS_NETWORK(F)                                                                                \
    F(TEXT, service_url, IPC_URL_MAX, 0)                                                                     \
    F(NAME, hostname, 0, 0)                                                                                  \
    F(NAME, os, 0, 0)                                                                                        \
    F(TEXT, vpc_id, IPC_UUID_MAX, 0)                                                                         \
    F(TEXT, security_group_id, IPC_UUID_MAX, 0)                                                              \
    F(ADDR, request_ip, 1, 0)                                                                                \
    F(ADDR, local_endpoint, 1, 0)                                                                            \
    F(BOOL, relay_only, 0, 0)                                                                                \
    F(BOOL, skip_tls_verify, 0, 0)                                                                           \
    F(TEXT, no_proxy, IPC_URL_MAX, 0)
#define IPC_FIELDS_NETWORK_DONE(F) F(U32, stun_servers, 0, UINT32_MAX)
#define IPC_FIELDS_CREDENTIAL(F)                                                                             \
    F(ENUM, kind, 1, IPC_CREDENTIAL_LAST)                                                                    \
    F(BLOB, value, IPC_CREDENTIAL_MAX, 0)
#define IPC_FIELDS_STUN_SERVER(F)                                                                            \
    F(NAME, host, 0, 0)                                                                                      \
    F(U16, port, 1, 65535)
/* A piece of what a slot holds, in order: `first` begins a new document, `last` ends it; an empty document
 * empties the slot. parent → ctld: before NETWORK_DONE, as it was left. ctld → parent: it is to be replaced;
 * the request id of the last piece, if any, is answered by RESULT once it will survive a power cut. */
#define IPC_FIELDS_STORED(F)                                                                                 \
    F(ENUM, slot, 1, IPC_SLOT_LAST)                                                                          \
    F(BOOL, first, 0, 0)                                                                                     \
    F(BOOL, last, 0, 0)                                                                                      \
    F(BLOB, data, IPC_STORED_MAX, 0)
/* Our addresses inside the mesh. Answered by RESULT once tunneld has them: only then may it be given peers.
 * Others than before restart tunneld. */
#define IPC_FIELDS_MESH_ADDRESSES(F) F(ADDRS, addresses, IPC_ADDRS_MAX, 0)
/* `public_key` (ours, as in the last DEVICE) is burnt: the parent makes and stores another pair, restarts
 * tunneld without addresses, and sends DEVICE; then RESULT. */
#define IPC_FIELDS_KEY_RENEW(F) F(KEY, public_key, 0, 0)
/* A user is to open `url` and enter `code`; `complete_url` has the code in it, or is empty. */
#define IPC_FIELDS_LOGIN_PROMPT(F)                                                                           \
    F(TEXT, url, IPC_URL_MAX, 0)                                                                             \
    F(TEXT, complete_url, IPC_URL_MAX, 0)                                                                    \
    F(TEXT, code, 64, 0)
/* How far joining has come; `text` says more to an operator, or is empty. */
#define IPC_FIELDS_PHASE(F)                                                                                  \
    F(ENUM, phase, 1, IPC_PHASE_LAST)                                                                        \
    F(TEXT, text, IPC_TEXT_MAX, 0)
/* Trying on is hopeless before anything has worked: nexd ends with status 1; `text` says why and what to do.
 */
#define IPC_FIELDS_GIVE_UP(F) F(TEXT, text, IPC_TEXT_MAX, 0)
/* Where ctld's connections may lead. proxyd connects ctld to nothing else, but for one issuer. */
#define IPC_FIELDS_OUTLET(F)                                                                                 \
    F(ENUM, kind, 1, IPC_OUTLET_LAST)                                                                        \
    F(NAME, host, 0, 0)                                                                                      \
    F(U16, port, 1, 65535)
/* The login server that the control plane names. Answered by RESULT; IPC_NOT_PERMITTED when there is another
 * one already: a name, once taken, stays as long as proxyd lives. */
#define IPC_FIELDS_OUTLET_ISSUER(F)                                                                          \
    F(NAME, host, 0, 0)                                                                                      \
    F(U16, port, 1, 65535)
/* Connect to there by TCP. Answered by OPENED or RESULT (IPC_NOT_PERMITTED: no outlet) within 30 s. */
#define IPC_FIELDS_OPEN(F)                                                                                   \
    F(NAME, host, 0, 0)                                                                                      \
    F(U16, port, 1, 65535)
#define IPC_FIELDS_OPENED(F)                                                                                 \
    F(SOCK, remote, 0, 0)                                                                                    \
    F(FD, fd, IPC_FD_TCP_CONNECTED, 0)
/* No new flow is accepted any more, until nexd is started anew; live ones go on. ctld → parent: an operator's
 * wish, answered by RESULT once proxyd has been told. parent → proxyd, before its rules if it is a new
 * process: egress TCP ports are closed, other new flows refused. parent → ctld: that is how it is. */
#define IPC_FIELDS_DRAIN(F) F(U8, version, 1, 1)
/* Listen at this address for those who read metrics. Answered by METRICS_BOUND or RESULT. */
#define IPC_FIELDS_METRICS_BIND(F)  F(SOCK, address, 0, 0)
#define IPC_FIELDS_METRICS_BOUND(F) F(FD, fd, IPC_FD_TCP_LISTENER, 0)
/* The listener, for ctld to serve. */
#define IPC_FIELDS_METRICS_SOCKET(F) F(FD, fd, IPC_FD_TCP_LISTENER, 0)
/* Answered by one METRIC for each number that this process keeps, then RESULT. */
#define IPC_FIELDS_METRICS_QUERY(F) F(U8, version, 1, 1)
/* `metric`: enum metric of ipc/metrics.h. */
#define IPC_FIELDS_METRIC(F)                                                                                 \
    F(U16, metric, 1, IPC_METRICS_MAX)                                                                       \
    F(U64, value, 0, UINT64_MAX)

/* The operator's policy: first its file's name, and how many lines follow; until they have come, no rule is
 * admitted. ctld is told the lines about the control socket alone. Sent to each new process before all rules.
 */
#define IPC_FIELDS_POLICY(F)                                                                                 \
    F(TEXT, file, IPC_POLICY_FILE_MAX, 0)                                                                    \
    F(U32, lines, 0, UINT32_MAX)
#define IPC_FIELDS_POLICY_LINE(F)                                                                            \
    F(U32, number, 1, UINT32_MAX)                                                                            \
    F(TEXT, text, IPC_POLICY_LINE_MAX, 0)
/* What that policy grants all flows together, and those of one peer; 0 = no bound. */
#define IPC_FIELDS_FLOW_LIMITS(F)                                                                            \
    F(U32, flows_max, 0, UINT32_MAX)                                                                         \
    F(U32, flows_line, 0, UINT32_MAX)                                                                        \
    F(U32, peer_flows_max, 0, UINT32_MAX)                                                                    \
    F(U32, peer_flows_line, 0, UINT32_MAX)
/* The client on whose behalf the next request, with the same id, is made: the parent looks for itself who it
 * is. */
#define IPC_FIELDS_CALLER(F) F(FD, client, IPC_FD_UNIX_CLIENT, 0)

/* -- From here on, generated. ------------------------------------------------------------------------------
 */

#define IPC_C_U8(name, a, b)     uint8_t name;
#define IPC_C_U16(name, a, b)    uint16_t name;
#define IPC_C_U32(name, a, b)    uint32_t name;
#define IPC_C_U64(name, a, b)    uint64_t name;
#define IPC_C_BOOL(name, a, b)   bool name;
#define IPC_C_ENUM(name, a, b)   uint8_t name;
#define IPC_C_KEY(name, a, b)    uint8_t name[32];
#define IPC_C_SECRET(name, a, b) uint8_t name[32];
#define IPC_C_ADDR(name, a, b)   struct netaddr name;
#define IPC_C_SOCK(name, a, b)   struct netsock name;
#define IPC_C_PREFIXES(name, a, b)                                                                           \
    struct {                                                                                                 \
        uint16_t count;                                                                                      \
        struct netprefix item[a];                                                                            \
    } name;
#define IPC_C_ADDRS(name, a, b)                                                                              \
    struct {                                                                                                 \
        uint16_t count;                                                                                      \
        struct netaddr item[a];                                                                              \
    } name;
#define IPC_C_NAME(name, a, b) char name[IPC_NAME_MAX + 1];
#define IPC_C_TEXT(name, a, b) char name[(a) + 1];
#define IPC_C_FD(name, a, b)   int name;
#define IPC_C_BLOB(name, a, b)                                                                               \
    struct {                                                                                                 \
        uint16_t length;                                                                                     \
        uint8_t data[a];                                                                                     \
    } name;

#define IPC_FIELD_MEMBER(kind, name, a, b) IPC_C_##kind(name, a, b)
#define IPC_DECLARE_STRUCT(NAME, name, n, w)                                                                 \
    struct ipc_##name {                                                                                      \
        IPC_FIELDS_##NAME(IPC_FIELD_MEMBER)                                                                  \
    };
IPC_MESSAGES(IPC_DECLARE_STRUCT)
#undef IPC_DECLARE_STRUCT

#define IPC_DECLARE_TYPE(NAME, name, n, w) IPC_MSG_##NAME = n,
enum ipc_type { IPC_MESSAGES(IPC_DECLARE_TYPE) };
#undef IPC_DECLARE_TYPE

#define IPC_DECLARE_MEMBER(NAME, name, n, w) struct ipc_##name name;
union ipc_body {
    IPC_MESSAGES(IPC_DECLARE_MEMBER)
};
#undef IPC_DECLARE_MEMBER

struct ipc_header {
    uint16_t type;    /* enum ipc_type */
    uint16_t version; /* IPC_VERSION */
    uint32_t length;  /* of the body, bytes */
    uint32_t request; /* 0, or the id that ties an answer to its request */
};

#endif
