#include "apid/oidc/page.h"

#include "apid/json/json.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char style[] =
    "body{font:16px/1.5 sans-serif;max-width:24em;margin:4em auto;padding:0 1em}"
    "label{display:block;margin:1em 0 0}input{width:100%;box-sizing:border-box;font:inherit;padding:.4em}"
    "button{font:inherit;margin:1.5em 1em 0 0;padding:.4em 1.2em}.p{color:#a00}";

/* Text between tags and in attributes. */
static void escaped(struct json_out *out, const char *text)
{
    for (const char *at = text; *at; at++) {
        const char *entity = NULL;
        switch (*at) {
        case '&':
            entity = "&amp;";
            break;
        case '<':
            entity = "&lt;";
            break;
        case '>':
            entity = "&gt;";
            break;
        case '"':
            entity = "&quot;";
            break;
        case '\'':
            entity = "&#39;";
            break;
        default:
            break;
        }
        json_raw(out, entity ? entity : at, entity ? strlen(entity) : 1);
    }
}

static void put(struct json_out *out, const char *text)
{
    json_raw(out, text, strlen(text));
}

static void head(struct json_out *out, const char *title)
{
    put(out, "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
             "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    escaped(out, title);
    put(out, "</title><style>");
    put(out, style);
    put(out, "</style></head><body><h1>");
    escaped(out, title);
    put(out, "</h1>");
}

/* The style sheet is allowed by its hash; everything else that a page could do is not allowed at all. */
static void page_send(struct http_request *request, int status, struct json_out *out)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hash_text[48], policy[256];
    crypto_hash_sha256(hash, (const unsigned char *)style, sizeof(style) - 1);
    sodium_bin2base64(hash_text, sizeof(hash_text), hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL);
    snprintf(policy, sizeof(policy),
             "default-src 'none'; style-src 'sha256-%s'; form-action 'self'; frame-ancestors 'none'; "
             "base-uri 'none'",
             hash_text);
    http_reply_header(request, "Content-Security-Policy", policy);
    http_reply_header(request, "X-Content-Type-Options", "nosniff");
    http_reply_header(request, "X-Frame-Options", "DENY");
    http_reply_header(request, "Referrer-Policy", "no-referrer");
    http_reply_header(request, "Cache-Control", "no-store");
    put(out, "</body></html>\n");
    if (out->failed)
        http_reply(request, 503, NULL, NULL, 0);
    else
        http_reply(request, status, "text/html; charset=utf-8", out->data, out->length);
    json_out_free(out);
}

void page_message_reply(struct http_request *request, int status, const char *title, const char *message)
{
    struct json_out out = {0};
    head(&out, title);
    put(&out, "<p>");
    escaped(&out, message);
    put(&out, "</p>");
    page_send(request, status, &out);
}

/* The cookie's value; NULL if there is none of that name, or its length is wrong. */
static const char *cookie_value(const struct http_request *request)
{
    const char *at = http_header(request, "Cookie");
    while (at) {
        at += strspn(at, " ;");
        if (strncmp(at, PAGE_COOKIE "=", sizeof(PAGE_COOKIE)) == 0) {
            at += sizeof(PAGE_COOKIE);
            return strcspn(at, ";") == PAGE_TOKEN_MAX - 1 ? at : NULL;
        }
        at = strchr(at, ';');
    }
    return NULL;
}

bool page_token_check(const struct http_request *request, const char *value)
{
    const char *const cookie = cookie_value(request);
    return cookie && value && strlen(value) == PAGE_TOKEN_MAX - 1 &&
           sodium_memcmp(cookie, value, PAGE_TOKEN_MAX - 1) == 0;
}

/* A cookie that the browser has is used again, so that two open pages do not invalidate each other. */
static void token_issue(struct http_request *request, char out[PAGE_TOKEN_MAX])
{
    const char *const cookie = cookie_value(request);
    if (cookie && strspn(cookie, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") >=
                      PAGE_TOKEN_MAX - 1) {
        memcpy(out, cookie, PAGE_TOKEN_MAX - 1);
        out[PAGE_TOKEN_MAX - 1] = '\0';
        return;
    }
    unsigned char random[32];
    char header[160];
    randombytes_buf(random, sizeof(random));
    sodium_bin2base64(out, PAGE_TOKEN_MAX, random, sizeof(random), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(header, sizeof(header), PAGE_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict", out);
    http_reply_header(request, "Set-Cookie", header);
}

void page_form_reply(struct http_request *request, int status, const char *action, const char *user_code,
                     const char *problem)
{
    struct json_out out = {0};
    char token[PAGE_TOKEN_MAX];
    token_issue(request, token);
    head(&out, "Sign in to approve a device");
    if (problem) {
        put(&out, "<p class=\"p\">");
        escaped(&out, problem);
        put(&out, "</p>");
    }
    put(&out, "<p>Go on only if you have just started this device yourself and it shows this code.</p>"
              "<form method=\"post\" action=\"");
    escaped(&out, action);
    put(&out, "\"><input type=\"hidden\" name=\"token\" value=\"");
    escaped(&out, token);
    put(&out,
        "\"><label>Code<input name=\"user_code\" autocomplete=\"off\" maxlength=\"16\" required value=\"");
    escaped(&out, user_code ? user_code : "");
    put(&out, "\"></label><label>User name<input name=\"username\" autocomplete=\"username\" "
              "maxlength=\"128\" required></label>"
              "<label>Password<input name=\"password\" type=\"password\" autocomplete=\"current-password\" "
              "maxlength=\"1024\""
              " required></label><button name=\"decision\" value=\"approve\">Approve</button>"
              "<button name=\"decision\" value=\"deny\">Deny</button></form>");
    page_send(request, status, &out);
}
