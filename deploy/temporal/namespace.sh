#!/bin/sh
# Makes the namespace, and the search attributes that workflows set; safe to repeat. Ends when they can be used.
# The server is in TEMPORAL_ADDRESS, the namespace in TEMPORAL_NAMESPACE.
set -eu

ATTRIBUTES="AccountId SessionState AvatarServer EndReason"
TRIES=60

again() {
    # A fresh namespace or attribute is known to the whole server only after seconds.
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -ge "$TRIES" ]; then
            "$@"
            return 1
        fi
        sleep 1
    done
}

again temporal operator cluster health
if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "${RETENTION:-72h}"
fi
again temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE"
for attribute in $ATTRIBUTES; do
    again temporal operator search-attribute create --name "$attribute" --type Keyword
done
for attribute in $ATTRIBUTES; do
    again temporal workflow count --query "$attribute = 'none'"
done
echo "namespace $TEMPORAL_NAMESPACE is ready"
