"""What the published TIMIT consists of: speakers by set and dialect region, sentences, utterances, reference phones."""

from __future__ import annotations

REGIONS = ("New England", "Northern", "North Midland", "South Midland", "Southern", "New York City", "Western", "Army Brat")  # DR1 to DR8
TRAIN_SPEAKERS = (38, 76, 76, 68, 70, 35, 77, 22)  # by dialect region; 462 together
TEST_SPEAKERS = (11, 26, 26, 32, 28, 11, 23, 11)  # 168 together

# two men and a woman of each region, DR1 to DR8
CORE_TEST = (
    ("mdab0", "mwbt0", "felc0"), ("mtas1", "mwew0", "fpas0"), ("mjmp0", "mlnt0", "fpkt0"), ("mlll0", "mtls0", "fjlm0"),
    ("mbpm0", "mklt0", "fnlp0"), ("mcmj0", "mjdh0", "fmgd0"), ("mgrt0", "mnjm0", "fdhc0"), ("mjln0", "mpam0", "fmld0"),
)  # fmt: skip
CORE = frozenset(speaker for region in CORE_TEST for speaker in region)
DEVELOPMENT = frozenset((
    "fadg0", "faks0", "fcal1", "fcmh0", "fdac1", "fdms0", "fdrw0", "fedw0", "fgjd0", "fjem0", "fjmg0", "fjsj0", "fkms0", "fmah0",
    "fmml0", "fnmr0", "frew0", "fsem0", "majc0", "mbdg0", "mbns0", "mbwm0", "mcsh0", "mdlf0", "mdls0", "mdvc0", "mers0", "mgjf0",
    "mglb0", "mgwt0", "mjar0", "mjfc0", "mjsw0", "mmdb1", "mmdm2", "mmjr0", "mmwh0", "mpdf0", "mrcs0", "mreb0", "mrjm4", "mrjr0",
    "mroa0", "mrtk0", "mrws1", "mtaa0", "mtdt0", "mteb0", "mthc0", "mwjg0",
))  # fmt: skip

SENTENCES = {"sx": 5, "si": 3}  # of each speaker; the two SA sentences, the same for all, are left out
UTTERANCES = {
    "core": {"train": 3696, "dev": 400, "test": 192},
    "complete": {"train": 3696, "test": 1344},
}
FOLDED_PHONES = {"core": {"dev": 15057, "test": 7215}, "complete": {}}  # reference phones, folded to 39 and without q
