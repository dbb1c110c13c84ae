#!/usr/bin/env python3
"""One HTTPS request with the flags that Python 3.13 and newer set by default: ask.py URL. Prints the body of a 200.

`ask.py --flags` says whether this Python sets them itself.
"""

import ssl
import sys
import urllib.request

STRICT = ssl.VERIFY_X509_STRICT | getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)


def main():
    """Asks, with the proxy and the trust that the environment names."""
    context = ssl.create_default_context()
    if sys.argv[1] == "--flags":
        own = "strict by default" if context.verify_flags & STRICT == STRICT else "strict flags set by hand"
        print(f"Python {sys.version.split()[0]}, {ssl.OPENSSL_VERSION}, {own}")
        return
    context.verify_flags |= STRICT
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(), urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(sys.argv[1], headers={"Stage-Control": "read"})
    with opener.open(request, timeout=30) as response:
        print(response.read().decode())


if __name__ == "__main__":
    main()
