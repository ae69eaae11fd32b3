"""Say how well frames tell pairs of one word from pairs of two: of the log-mel, of encoders, trained or not, and those
that a model's landmarks align, which may be learned.

python examples/same_words.py runs/mine/model manifest.csv --label digit --split valid
"""

import argparse

import numpy as np

import mfcl
from mfcl.data.dataset import open_data
from mfcl.embeddings import alignment
from mfcl.evaluation.same_word import MOST_CLIPS, drawn_clips, same_word
from mfcl.models.inference import encoder_frames
from mfcl.models.pair import make_model
from mfcl.training.landmark_choice import frames_to_align


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of a trained model")
    parser.add_argument("data", help="folder or manifest of recordings")
    parser.add_argument("--label", help="column that names the word")
    parser.add_argument("--speaker", help="column that names the speaker")
    parser.add_argument("--split", default="valid", help="split whose recordings are compared")
    parser.add_argument("--clips", type=int, default=MOST_CLIPS, help="most recordings, drawn at random")
    given = parser.parse_args()
    model = mfcl.load(given.model)
    data = open_data(given.data, model.recipe.preparation, label=given.label, speaker=given.speaker)
    if data.label is None:
        raise SystemExit("no column names the word; give --label")
    part = data.subset(given.split)
    part = part.select(drawn_clips(len(part), most=given.clips))
    words = part.manifest.column(data.label)
    speakers = None if data.speaker is None else part.manifest.column(data.speaker)
    untrained = make_model(model.recipe.model, seed=0)
    kinds = {"log-mel frames": [alignment.frames(part.clip(item), part.sample_rate) for item in range(len(part))]}
    for format in ("wave", "mel"):
        trained, random = getattr(model.model, format), getattr(untrained, format)
        random.front.load_state_dict(trained.front.state_dict())  # the same input, normalised alike
        for name, network in (("untrained", untrained), ("trained", model.model)):
            frames = encoder_frames(network, part, part.sample_rate, format)
            kinds[f"{name} {format} encoder"] = [alignment.unit_frames(one) for one in frames]
            encoder = getattr(network, format)
            if encoder.landmarks is not None:
                kinds[f"{name} {format} frames that landmarks align"] = frames_to_align(encoder, part)
    for name, frames in kinds.items():
        found = same_word(frames, words, speakers, most=given.clips)
        across = "" if found.across is None else f", of two speakers {100 * found.across:.1f} %"
        length = np.mean([len(one) for one in frames])
        print(f"{name}: average precision {100 * found.every:.1f} %{across} ({found.pairs} pairs, {length:.0f} frames)")
    chance = "" if found.across_chance is None else f", of two speakers {100 * found.across_chance:.1f} %"
    print(f"chance: {100 * found.chance:.1f} %{chance}")


if __name__ == "__main__":
    main()
