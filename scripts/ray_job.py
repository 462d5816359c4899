"""Recognize an archive on a Ray cluster.

    ray job submit --address http://HEAD:8265 -- python scripts/ray_job.py s3://bucket/recordings /shared/texts speech-en --gpus 0.25
    python scripts/ray_job.py list.jsonl texts/ speech-en --actors 2          a Ray of its own on this machine

Every node needs the package with its extra: pip install 'recognizer[ray]'. The same call goes on after one that was stopped.
"""

from __future__ import annotations

import argparse
import sys

import recognizer
from recognizer.errors import RecognizerError


def main() -> int:
    """Run the job; 1 if some files failed, 2 if it could not go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="folder, JSONL list or Parquet table; an address such as s3://, gs://, hf:// as well")
    parser.add_argument("out", help="folder or address of the results")
    parser.add_argument("model", help="folder of a bundle, or name of one that ships")
    parser.add_argument("--output", choices=("parquet", "jsonl"), default="parquet")
    parser.add_argument("--actors", type=int, default=0, help="recognizers side by side (default: as many as there is room for)")
    parser.add_argument("--gpus", type=float, default=0.0, help="of each; 0.25 puts four on a GPU (default: none)")
    parser.add_argument("--cpus", type=int, default=1, help="cores of each (default: 1)")
    parser.add_argument("--times", action="store_true", help="words with times and confidences")
    parser.add_argument("--bytes-column", metavar="NAME", help="of a Parquet table: the content of the files")
    parser.add_argument("--name-column", metavar="NAME", default="source", help="of a Parquet table: what its rows are called (default: source)")
    options = vars(parser.parse_args())
    try:
        found = recognizer.bulk(options.pop("source"), options.pop("out"), options.pop("model"), **options)
    except RecognizerError as error:
        print(f"ray_job: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{found.rows} results, {found.failed} of them errors")
    return 1 if found.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
