#!/bin/sh
# /usr/bin/billet: the command line, as billet(1) says.
exec /usr/lib/billet/node --disable-warning=ExperimentalWarning /usr/lib/billet/billet.mjs "$@"
