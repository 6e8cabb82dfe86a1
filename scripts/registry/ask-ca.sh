#!/usr/bin/env bash
# The registry's CA certificate, as it is on the registry's node.
exec cat /etc/kfinstall/registry/ca.crt
