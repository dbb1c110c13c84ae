#!/usr/bin/env python3
"""Who does AWS think that this program is?"""

import boto3


def main():
    """Asks STS."""
    sts = boto3.client("sts")
    print(f"  {sts.get_caller_identity()['Arn']}")


if __name__ == "__main__":
    main()
