/* Keys made for these tests and used nowhere else. */
#ifndef NEXD_TESTS_WGCONF_SAMPLES_H
#define NEXD_TESTS_WGCONF_SAMPLES_H

#define OWN_PRIVATE "+Bmrqp1jc+aVvyEiZ3zKRk6hFDXL/yP9oVaJRg0wFnI="
#define OWN_PUBLIC  "AiUaAtB1PoYWgIIhgULC+IIhO83B9L7ptFUDqBEdxQ4="
#define PEER_A      "bwTAlpOMsU5eb0PlLY8fyq2NiDdkw3ladPx6MGCcFFI="
#define PEER_B      "L+EuJUQENLAoYae6W61cKUAD3cX38wpN09ZW33QM6io="
#define SHARED      "4dyX0/8Lfj8QtHwTUnYHE0vIIL25WUub98es4Ztsmq0="
#define ZERO_KEY    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

#define INTERFACE "[Interface]\nPrivateKey = " OWN_PRIVATE "\nAddress = 100.64.0.1/32\n"
#define PEER(key) "[Peer]\nPublicKey = " key "\n"

#endif
