"""Every option of OpenSSH's configuration, and what becomes of it here. A test holds this against what `ssh -G` prints."""

from __future__ import annotations

from typing import Final

TAKEN: Final = frozenset(
    {
        "addressfamily",
        "bindaddress",
        "bindinterface",
        "certificatefile",
        "ciphers",
        "connecttimeout",
        "globalknownhostsfile",
        "hostkeyalgorithms",
        "hostkeyalias",
        "hostname",
        "identitiesonly",
        "identityagent",
        "identityfile",
        "kexalgorithms",
        "knownhostscommand",
        "macs",
        "nohostauthenticationforlocalhost",
        "port",
        "preferredauthentications",
        "proxycommand",
        "proxyjump",
        "proxyusefdpass",
        "pubkeyacceptedalgorithms",
        "pubkeyauthentication",
        "requiredrsasize",
        "revokedhostkeys",
        "stricthostkeychecking",
        "user",
        "userknownhostsfile",
    }
)
"""Done as OpenSSH would."""

NOTES: Final = {
    "GSSAPIAuthentication": "Kerberos (GSSAPI) is not offered; log in by a key or a password",
    "HostbasedAuthentication": "host-based login is not offered; log in by a key or a password",
    "PKCS11Provider": "a token's keys are offered by the agent: ssh-add -s {value}",
    "ControlPath": "a connection that ssh shares is not used; each server is logged in to anew",
    "VerifyHostKeyDNS": "name servers are not asked for host keys; compare the fingerprint",
}
"""Another way in, which is not gone here; told where the login fails without it. {value} is the option's."""

DECIDED: Final = frozenset(
    {"host", "match", "include", "ignoreunknown", "tag", "batchmode", "refuseconnection"}
    | {
        "canonicaldomains",
        "canonicalizefallbacklocal",
        "canonicalizehostname",
        "canonicalizemaxdots",
        "canonicalizepermittedcnames",
    }
)
"""What decides on the others: OpenSSH has done it when it prints them."""

MEANINGLESS: Final = frozenset(
    # The terminal, the session and what runs on the other side: kfinstall starts programs of its own.
    {"escapechar", "enableescapecommandline", "requesttty", "sessiontype", "remotecommand", "stdinnull", "forkafterauthentication"}
    | {"sendenv", "setenv", "localcommand", "permitlocalcommand", "obscurekeystroketiming", "channeltimeout", "versionaddendum"}
    # Forwardings: none is needed, and that of the agent would lend it to the server.
    | {"forwardagent", "forwardx11", "forwardx11timeout", "forwardx11trusted", "xauthlocation", "tunnel", "tunneldevice"}
    | {"dynamicforward", "localforward", "remoteforward", "clearallforwardings", "exitonforwardfailure", "gatewayports"}
    | {"permitremoteopen", "streamlocalbindmask", "streamlocalbindunlink"}
    # Shared connections, and what ssh writes down.
    | {"controlmaster", "controlpersist", "addkeystoagent", "hashknownhosts", "updatehostkeys", "checkhostip", "usekeychain"}
    | {"loglevel", "logverbose", "syslogfacility", "visualhostkey", "fingerprinthash", "warnweakcrypto"}
    # How patient and how fast: kfinstall has numbers of its own (kfinstall/transport/limits.py).
    | {"connectionattempts", "serveralivecountmax", "serveraliveinterval", "tcpkeepalive", "compression", "compressionlevel"}
    | {"ipqos", "rekeylimit"}
    # Passwords: one is sent where the answers give one, and nowhere else.
    | {"numberofpasswordprompts", "passwordauthentication", "kbdinteractiveauthentication"}
    # What only narrows or helps methods that are not used here.
    | {"casignaturealgorithms", "hostbasedacceptedalgorithms", "enablesshkeysign", "kbdinteractivedevices"}
    | {"securitykeyprovider", "gssapidelegatecredentials", "gssapikeyexchange", "gssapikexalgorithms"}
    | {"gssapirenewalforcesrekey", "gssapitrustdns", "gssapiclientidentity", "gssapiserveridentity"}
)
"""Passed over: a program on the other side starts without it as well."""
