#!/bin/sh
# /usr/sbin/billet-agent: the agent's commands on this machine, as billet-agent(8) says.
exec /usr/lib/billet/node --disable-warning=ExperimentalWarning /usr/lib/billet/agent.mjs "$@"
