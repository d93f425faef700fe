/* libcurl's own reading of URLs does the work: what it admits here is what it will use. */
#include "ctld/http/proxy.h"

#include "common/err.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

void proxy_clear(struct proxy *proxy)
{
    explicit_bzero(proxy, sizeof(*proxy));
}

/* True: the part is there and fits. `absent` is what libcurl says when there is none. */
static bool part_take(CURLU *url, CURLUPart part, unsigned flags, CURLUcode absent, char *out, size_t size)
{
    char *text = NULL;
    const CURLUcode code = curl_url_get(url, part, &text, flags);
    const size_t length = text ? strlen(text) : 0;
    const bool fits = code == CURLUE_OK ? length < size : code == absent;
    if (fits && text)
        memcpy(out, text, length + 1);
    curl_free(text);
    return fits;
}

static void brackets_drop(char *host)
{
    const size_t length = strlen(host);
    if (length < 2 || host[0] != '[' || host[length - 1] != ']')
        return;
    memmove(host, host + 1, length - 2);
    host[length - 2] = '\0';
}

static int proxy_take(CURLU *parsed, const char *url, struct proxy *out)
{
    char scheme[16] = "", port[8] = "", path[4] = "", rest[4] = "";
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        !part_take(parsed, CURLUPART_SCHEME, 0, CURLUE_OK, scheme, sizeof scheme) ||
        !part_take(parsed, CURLUPART_HOST, 0, CURLUE_OK, out->host, sizeof out->host) ||
        !part_take(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT, CURLUE_OK, port, sizeof port) ||
        !part_take(parsed, CURLUPART_USER, CURLU_URLDECODE, CURLUE_NO_USER, out->user, sizeof out->user) ||
        !part_take(parsed, CURLUPART_PASSWORD, CURLU_URLDECODE, CURLUE_NO_PASSWORD, out->password,
                   sizeof out->password) ||
        !part_take(parsed, CURLUPART_PATH, 0, CURLUE_OK, path, sizeof path) ||
        !part_take(parsed, CURLUPART_QUERY, 0, CURLUE_NO_QUERY, rest, sizeof rest) ||
        strcmp(path, "/") != 0 || rest[0])
        return NX_EINVAL;
    out->tls = strcmp(scheme, "https") == 0;
    if (!out->tls && strcmp(scheme, "http") != 0)
        return NX_EINVAL;
    const long number = strtol(port, NULL, 10);
    out->port = (uint16_t)number;
    brackets_drop(out->host);
    return number > 0 && number <= UINT16_MAX && out->host[0] ? NX_OK : NX_EINVAL;
}

int proxy_parse(const char *url, struct proxy *out)
{
    *out = (struct proxy){0};
    CURLU *const parsed = curl_url();
    if (!parsed)
        return NX_ENOMEM;
    const int err = proxy_take(parsed, url, out);
    curl_url_cleanup(parsed);
    if (err != NX_OK)
        proxy_clear(out);
    return err;
}
