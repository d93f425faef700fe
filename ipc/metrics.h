/* The numbers that the processes keep and ctld publishes: their ids on the links, and what the world knows
 * them by. One line each; names follow the conventions of Prometheus (a unit as the last part, _total for
 * what only grows), and lines of one name stand together, told apart by a label.
 *
 * Numbers of rules, peers and flows have labels that vary and are not here: see ctld/metrics.c. */
#ifndef NEXD_IPC_METRICS_H
#define NEXD_IPC_METRICS_H

#define METRIC_PACKETS  "Packets that tunneld dropped, by reason."
#define METRIC_FLOW_END "Flows of the mesh or the host that could not be opened or ended early, by cause."

/*  id, owner, kind, name, label, help */
#define METRICS(M)                                                                                           \
    M(STARTS_TUNNELD, PARENT, COUNTER, "nexd_process_starts_total", "process=\"tunneld\"",                   \
      "Starts of each process; the first one counts.")                                                       \
    M(STARTS_PROXYD, PARENT, COUNTER, "nexd_process_starts_total", "process=\"proxyd\"", "")                 \
    M(STARTS_CTLD, PARENT, COUNTER, "nexd_process_starts_total", "process=\"ctld\"", "")                     \
    M(READY, PARENT, GAUGE, "nexd_ready", "",                                                                \
      "1 once rules are bound, peers are known and the tunnel can send.")                                    \
    M(DRAINING, PARENT, GAUGE, "nexd_draining", "", "1 while no new flow is accepted.")                      \
    M(RULES_FAILED, PARENT, GAUGE, "nexd_rules_failed", "",                                                  \
      "Rules whose port cannot be had; they are tried again.")                                               \
    M(RULES_BARRED, PARENT, GAUGE, "nexd_rules_barred", "",                                                  \
      "Stored rules that the operator's policy refuses: they are not in force.")                             \
    M(REQUESTS_REFUSED, PARENT, COUNTER, "nexd_policy_refused_requests_total", "",                           \
      "Requests over the control socket that the operator's policy refused, as seen by nexd.")               \
    M(START_TIME, PARENT, GAUGE, "nexd_start_time_seconds", "", "When nexd was started, in Unix time.")      \
    M(DROP_MALFORMED, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"malformed\"",         \
      METRIC_PACKETS)                                                                                        \
    M(DROP_MAC1, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"mac1\"", "")               \
    M(DROP_UNKNOWN_PEER, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"unknown_peer\"",   \
      "")                                                                                                    \
    M(DROP_UNKNOWN_INDEX, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"unknown_index\"", \
      "")                                                                                                    \
    M(DROP_REPLAY, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"replay\"", "")           \
    M(DROP_AUTH, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"authentication\"", "")     \
    M(DROP_EXPIRED, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"expired_key\"", "")     \
    M(DROP_SOURCE, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"source_not_allowed\"",   \
      "")                                                                                                    \
    M(DROP_INNER, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"inner_malformed\"", "")   \
    M(DROP_STAGED, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"no_session\"", "")       \
    M(DROP_NO_ROUTE, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"no_route\"", "")       \
    M(DROP_RATE, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"rate_limit\"", "")         \
    M(DROP_SEND, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"socket_full\"", "")        \
    M(DROP_FOREIGN, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"foreign\"", "")         \
    M(DROP_STACK, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"stack_malformed\"", "")   \
    M(DROP_MEMORY, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"no_memory\"", "")        \
    M(DROP_OUTPUT, TUNNELD, COUNTER, "nexd_tunnel_dropped_packets_total", "reason=\"output\"", "")           \
    M(HANDSHAKES_INITIATED, TUNNELD, COUNTER, "nexd_tunnel_handshakes_total", "event=\"initiated\"",         \
      "Handshakes of the tunnel.")                                                                           \
    M(HANDSHAKES_ANSWERED, TUNNELD, COUNTER, "nexd_tunnel_handshakes_total", "event=\"answered\"", "")       \
    M(HANDSHAKES_COMPLETED, TUNNELD, COUNTER, "nexd_tunnel_handshakes_total", "event=\"completed\"", "")     \
    M(COOKIES_SENT, TUNNELD, COUNTER, "nexd_tunnel_cookies_total", "direction=\"sent\"",                     \
      "Cookie replies: a side is under load.")                                                               \
    M(COOKIES_RECEIVED, TUNNELD, COUNTER, "nexd_tunnel_cookies_total", "direction=\"received\"", "")         \
    M(DATAGRAMS_RECEIVED, TUNNELD, COUNTER, "nexd_tunnel_datagrams_total", "direction=\"received\"",         \
      "Datagrams of the tunnel's UDP sockets.")                                                              \
    M(DATAGRAMS_SENT, TUNNELD, COUNTER, "nexd_tunnel_datagrams_total", "direction=\"sent\"", "")             \
    M(BYTES_RECEIVED, TUNNELD, COUNTER, "nexd_tunnel_bytes_total", "direction=\"received\"",                 \
      "Bytes of those datagrams.")                                                                           \
    M(BYTES_SENT, TUNNELD, COUNTER, "nexd_tunnel_bytes_total", "direction=\"sent\"", "")                     \
    M(FLOWS_TCP, TUNNELD, COUNTER, "nexd_flows_opened_total", "protocol=\"tcp\"", "Flows opened.")           \
    M(FLOWS_UDP, TUNNELD, COUNTER, "nexd_flows_opened_total", "protocol=\"udp\"", "")                        \
    M(FLOWS_LIVE_TCP, TUNNELD, GAUGE, "nexd_flows", "protocol=\"tcp\"", "Flows open now.")                   \
    M(FLOWS_LIVE_UDP, TUNNELD, GAUGE, "nexd_flows", "protocol=\"udp\"", "")                                  \
    M(PAYLOAD_TCP_TO_MESH, TUNNELD, COUNTER, "nexd_payload_bytes_total",                                     \
      "protocol=\"tcp\",direction=\"to_mesh\"", "Payload of flows, both ways.")                              \
    M(PAYLOAD_TCP_TO_HOST, TUNNELD, COUNTER, "nexd_payload_bytes_total",                                     \
      "protocol=\"tcp\",direction=\"to_host\"", "")                                                          \
    M(PAYLOAD_UDP_TO_MESH, TUNNELD, COUNTER, "nexd_payload_bytes_total",                                     \
      "protocol=\"udp\",direction=\"to_mesh\"", "")                                                          \
    M(PAYLOAD_UDP_TO_HOST, TUNNELD, COUNTER, "nexd_payload_bytes_total",                                     \
      "protocol=\"udp\",direction=\"to_host\"", "")                                                          \
    M(FLOW_RESET_MESH, TUNNELD, COUNTER, "nexd_flow_failures_total", "cause=\"reset_by_mesh\"",              \
      METRIC_FLOW_END)                                                                                       \
    M(FLOW_RESET_HOST, TUNNELD, COUNTER, "nexd_flow_failures_total", "cause=\"reset_by_host\"", "")          \
    M(FLOW_CONNECT_FAILED, TUNNELD, COUNTER, "nexd_flow_failures_total", "cause=\"connect_failed\"", "")     \
    M(FLOW_REFUSED, TUNNELD, COUNTER, "nexd_flow_failures_total", "cause=\"refused\"", "")                   \
    M(FLOW_TIMED_OUT, TUNNELD, COUNTER, "nexd_flow_failures_total", "cause=\"timed_out\"", "")               \
    M(FLOW_LIMIT, TUNNELD, COUNTER, "nexd_flow_failures_total", "cause=\"limit\"", "")                       \
    M(FLOW_POLICY, TUNNELD, COUNTER, "nexd_flow_failures_total", "cause=\"policy\"", "")                     \
    M(UDP_DROPPED, TUNNELD, COUNTER, "nexd_udp_dropped_datagrams_total", "",                                 \
      "Datagrams of UDP flows that found no room.")                                                          \
    M(UDP_POLICED, TUNNELD, COUNTER, "nexd_udp_policed_datagrams_total", "",                                 \
      "Datagrams beyond the bandwidth that the operator's policy grants their rule.")                        \
    M(GATE_WAITING, TUNNELD, GAUGE, "nexd_connects_pending", "",                                             \
      "Connections of mesh peers that wait for their destination.")                                          \
    M(REPORT_QUEUE, TUNNELD, GAUGE, "nexd_queue_messages", "queue=\"tunneld_to_ctld\"",                      \
      "Messages that wait between the processes.")                                                           \
    M(QUEUE_TO_TUNNELD, PROXYD, GAUGE, "nexd_queue_messages", "queue=\"proxyd_to_tunneld\"", "")             \
    M(QUEUE_TO_PARENT, PROXYD, GAUGE, "nexd_queue_messages", "queue=\"proxyd_to_nexd\"", "")                 \
    M(QUEUE_TO_CTLD, PROXYD, GAUGE, "nexd_queue_messages", "queue=\"proxyd_to_ctld\"", "")                   \
    M(LISTENERS, PROXYD, GAUGE, "nexd_egress_listeners", "", "Egress TCP ports that are listened on.")       \
    M(CLIENTS_RESOLVING, PROXYD, GAUGE, "nexd_egress_clients_resolving", "",                                 \
      "Accepted clients whose destination's name is being looked up.")                                       \
    M(OUTLET_REFUSED, PROXYD, COUNTER, "nexd_outlet_refused_total", "",                                      \
      "Connections that ctld asked for and that lead where neither operator nor login server are.")

#define METRIC_DECLARE(id, owner, kind, name, label, help) METRIC_##id,
enum metric { METRIC_NONE = 0, METRICS(METRIC_DECLARE) METRIC_END };
#undef METRIC_DECLARE

#endif
