"""What the .pl of the same names do, line by line the same, for servers whose perl is no whole one. Standard library of Python 3.6 and later."""

import errno
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time

E = os.environ
TOKEN, NAME = E["KF_TOKEN"], E["KF_NAME"]
CONTROL = "\0kfinstall-" + TOKEN
now = time.monotonic


def out(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def rows(path):
    try:
        with open(path) as file:
            return file.read().splitlines()
    except OSError:
        return []
