#!/bin/bash
# Recognize an archive on a Slurm cluster: an array of jobs, each of which does one shard, all into one folder.
#
#     sbatch --array=1-64 scripts/slurm_array.sh /archive/recordings /archive/texts speech-en
#
# The same command again goes on with what is missing, after a job that was killed or ran out of time, too. Another number of jobs may follow
# once none is running. Errors: /archive/texts.errors.I-of-N.tsv, one a shard.
#SBATCH --job-name=recognize
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --output=recognize-%A-%a.log
set -euo pipefail
source=$1 out=$2 model=$3
# --array=1-64: the index begins with 1; for a GPU add `#SBATCH --gpus=1`
exec srun recognizer transcribe "$source" -o "$out" -m "$model" -f txt,json --resume --quiet --threads "${SLURM_CPUS_PER_TASK:-0}" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --errors "$out.errors.tsv"
