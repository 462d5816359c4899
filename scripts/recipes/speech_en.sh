#!/bin/sh
# English speech from nothing to a bundle with its card, in an empty folder; needs the program flite:
#
#     sh speech_en.sh SPEECHOCEAN WUW2 READER DIGITS BOOKS LEXICON [SETTING ...]
#
# SPEECHOCEAN: speechocean762; WUW2: folder with utterances.tsv (audio, speaker, note, text); READER: recordings beside their texts;
# DIGITS: Free Spoken Digit Dataset; BOOKS: folder of English texts (.txt); LEXICON: pronouncing dictionary, such as that of phones-en
# SETTING: of both trainings, such as trainer.threads=1
# The same command goes on where an earlier one stopped; every step that has ended is left out.
# Takes 75 minutes on two cores with bf16; what comes of it stands in scripts/README.md: less than what ships, which started from other weights.
set -eu
speechocean=$1 wuw2=$2 reader=$3 digits=$4 books=$5 lexicon=$6
shift 6
coarse=runs/speech_en_coarse run=runs/speech_en

ready() { [ -e "data/$1.jsonl" ]; }
ready speechocean/train || recognizer prepare speechocean "$speechocean" data/speechocean --dev-every 5
ready telephone/train || recognizer prepare table "$wuw2/utterances.tsv" data/telephone --source-column audio --group-column speaker \
    --where note= --dev-every 5 --lexicon "$lexicon"
ready reader || recognizer prepare folder "$reader" data --name reader --lexicon "$lexicon"
ready digits/train || recognizer prepare connected-digits "$digits" data/digits --test-speaker nicolas --lexicon "$lexicon"
ready no_speech || recognizer prepare no-speech data --name no_speech --items 150
ready synthetic || recognizer prepare synthetic "$books" data --name synthetic --utterances 4000 --case lower

train() { # FOLDER SETTING ...: begin, go on, or leave it as it is
    folder=$1
    shift
    if [ -e "$folder/checkpoint.pt" ]; then recognizer train --resume "$folder"; else recognizer train experiment=speech_en run_dir="$folder" "$@"; fi
}
train $coarse 'model.frontend.time_strides=[3,2]' model.frontend.dropout=0.05 model.dropout=0.15 trainer.clean_epochs=3 trainer.curriculum=true \
    trainer.epochs=16 trainer.max_batch_size=8 "$@"
train $run init=$coarse/bundle "$@"

words="--level words --case lower --drop-punctuation --order 3"
[ -e said.ngram ] || recognizer lm data/speechocean/train.jsonl data/telephone/train.jsonl data/reader.jsonl data/digits/train.jsonl $words -o said.ngram
[ -e books.ngram ] || recognizer lm "$books"/*.txt --running $words --prune 0,0,1 --vocabulary 40000 -o books.ngram
[ -e english.ngram ] || recognizer lm said.ngram --interpolate books.ngram --heldout data/speechocean/dev.jsonl --most 1000000 --compact -o english.ngram

[ -e speech_en/bundle.json ] || recognizer tune $run/bundle data/speechocean/dev.jsonl --metric WER decoder.lm=english.ngram \
    decoder.vocabulary=closed decoder.combine_with=units decoder.combine_lexicon="$lexicon" -o speech_en
recognizer evaluate speech_en data/telephone/dev.jsonl --card --also data/digits/test.jsonl
