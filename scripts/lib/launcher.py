#!/usr/bin/env python3
"""Runs the command by whose name it is called: each `scripts/NAME` is a link to it, and `--help` says more."""

# No syntax here that an old Python does not know: it is to say which one is needed.
import os
import signal
import sys

# Ctrl-C ends what only begins without a word; a command that has begun deals with it by itself.
INTERRUPTED = signal.getsignal(signal.SIGINT)  # a shell may have it ignored, in the background
if signal.default_int_handler == INTERRUPTED:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

HERE = os.path.realpath(__file__)


def command_of(called: str) -> str:
    """Return the command's name, also where a link of another name leads to `scripts/NAME`."""
    while os.path.islink(called):
        target = os.path.join(os.path.dirname(called), os.readlink(called))
        if os.path.basename(target) == os.path.basename(HERE):
            break
        called = target
    return os.path.basename(called)


command = command_of(sys.argv[0])
scripts = os.path.dirname(HERE)
if os.path.basename(scripts) == "lib":  # elsewhere a copy of the repository has files in place of the links
    scripts = os.path.dirname(scripts)
sys.path[0] = os.path.dirname(scripts)
if sys.version_info < (3, 6):
    sys.stderr.write("scripts/%s needs Python 3.8 or newer, and this is %s\n" % (command, sys.version.split()[0]))
    sys.exit(2)

if not os.path.exists(os.path.join(scripts, "commands", command + ".py")):
    sys.stderr.write("%s: it is called by the links in scripts/ alone\n" % HERE)
    sys.exit(2)

from importlib import import_module

from scripts.lib.environments import run_again_if_old

run_again_if_old()
main = import_module("scripts.commands." + command).main
signal.signal(signal.SIGINT, INTERRUPTED)
sys.exit(main(sys.argv[1:]))
