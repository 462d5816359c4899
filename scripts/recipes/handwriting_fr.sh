#!/bin/sh
# French handwriting from nothing to a bundle with its card, in an empty folder:
#
#     sh handwriting_fr.sh COPISTE BOOKS FONTS [SETTING ...]
#
# COPISTE: table of lines (train.tsv, val.tsv: image, writer, kind, text), or a clone of banq-dcn/Copiste-d-un-jour
# BOOKS: folder of French texts (.txt); FONTS: folder of handwriting fonts
# SETTING: of the training, such as trainer.epochs=8
# The same command goes on where an earlier one stopped; every step that has ended is left out.
# Run from an empty folder to the card on a part of the material, not yet at full length, which takes about 12 hours of one core with bf16.
set -eu
copiste=$1 books=$2 fonts=$3
shift 3
data=data/copiste run=runs/handwriting_fr

if [ ! -e $data/train.jsonl ]; then
    if [ -e "$copiste/train.tsv" ]; then
        table="--source-column image --group-column writer --where kind=text"
        [ -e $data/test.jsonl ] || recognizer prepare table "$copiste/val.tsv" $data $table --name test
        recognizer prepare table "$copiste/train.tsv" $data $table --dev 0.1
    else
        recognizer prepare copiste "$copiste" $data --dev 0.1
    fi
fi
[ -e $data/rendered.jsonl ] || recognizer prepare rendered "$books" $data --name rendered --style handwritten --font "$fonts" \
    --writers 700 --lines 14000 --words 9 --capitals 0.1

if [ -e $run/checkpoint.pt ]; then recognizer train --resume $run; else recognizer train experiment=handwriting_fr "$@"; fi

characters="--level characters --order 8"
[ -e lines.ngram ] || recognizer lm $data/train.jsonl $characters -o lines.ngram
[ -e books.ngram ] || recognizer lm "$books"/*.txt --running $characters --prune 0,0,0,0,1,1,2,2 -o books.ngram
[ -e french.ngram ] || recognizer lm lines.ngram --interpolate books.ngram --heldout $data/dev.jsonl --most 700000 -o french.ngram --compact

[ -e handwriting_fr/bundle.json ] || recognizer tune $run/bundle $data/dev.jsonl decoder.lm=french.ngram -o handwriting_fr
recognizer evaluate handwriting_fr $data/test.jsonl --card
