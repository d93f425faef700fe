/* What operators see of the network. */
#include "ctld/network_mode_internal.h"

struct session_status network_mode_status(const struct network_mode *mode)
{
    if (mode->started)
        return session_status(mode->session);
    return (struct session_status){.phase = IPC_PHASE_STARTING,
                                   .text = "",
                                   .prompt_url = "",
                                   .prompt_complete_url = "",
                                   .prompt_code = "",
                                   .device_id = "",
                                   .vpc_id = "",
                                   .security_group_id = ""};
}

bool network_mode_tell(const struct network_mode *mode, struct control_network *out, uint64_t now_ns)
{
    const struct session_status status = network_mode_status(mode);
    const struct peering *peering = mode->mesh ? mesh_peering(mode->mesh) : NULL;
    if (!mode->active)
        return false;
    *out = (struct control_network){.phase = status.phase,
                                    .text = status.text,
                                    .login_url = status.prompt_complete_url[0] ? status.prompt_complete_url
                                                                               : status.prompt_url,
                                    .login_code = status.prompt_code,
                                    .relay_present = peering && peering_relay_present(peering, now_ns),
                                    .relay_required = peering && peering_relay_required(peering)};
    return true;
}

void network_mode_describe(const struct network_mode *mode, const uint8_t public_key[KEY_BYTES],
                           const char **hostname, const char **method, uint64_t now_ns)
{
    struct peering_status status;
    if (!mode->mesh || !peering_find(mesh_peering(mode->mesh), public_key, now_ns, &status))
        return;
    *hostname = status.hostname;
    *method = status.method;
}

struct walk {
    connectivity_device_fn each;
    void *each_arg;
};

static void on_device(void *arg, const struct peering_status *status)
{
    const struct walk *const walk = arg;
    const struct connectivity_device device = {.hostname = status->hostname,
                                               .method = status->method,
                                               .v4 = status->tunnel_v4,
                                               .v6 = status->tunnel_v6};
    if (!status->own)
        walk->each(walk->each_arg, &device);
}

bool network_mode_devices(const struct network_mode *mode, uint64_t now_ns, connectivity_device_fn each,
                          void *each_arg)
{
    struct walk walk = {each, each_arg};
    if (!mode->active)
        return false;
    if (mode->mesh)
        peering_each(mesh_peering(mode->mesh), now_ns, on_device, &walk);
    return true;
}
