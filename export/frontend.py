"""The engine's own analysis and synthesis in torch, over whole sequences, so that training hears what the listener
hears."""

import torch
from torch import Tensor, nn

from streamsep.realtime.stft import analysis_taper, check_lengths, synthesis_taper


class FrontEnd(nn.Module):
    """Unequal-window Fourier analysis and overlap-add; the tapers are those of `streamsep.realtime.stft`."""

    def __init__(self, window: int, synthesis: int, hop: int) -> None:
        super().__init__()
        check_lengths(window, synthesis, hop)
        self.window, self.synthesis, self.hop = window, synthesis, hop
        self.register_buffer("look", torch.tensor(analysis_taper(window, synthesis), dtype=torch.float32))
        self.register_buffer("heard", torch.tensor(synthesis_taper(window, synthesis, hop), dtype=torch.float32))

    def analyse(self, samples: Tensor) -> Tensor:
        """(..., samples) -> (..., frames, bins), complex; frame t ends with hop t, as in the engine."""
        past = nn.functional.pad(samples, (self.window - self.hop, 0))
        return torch.fft.rfft(past.unfold(-1, self.window, self.hop) * self.look)

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """(..., frames, bins) -> (..., samples), aligned with the input of `analyse`; the last window is
        incomplete."""
        heard = torch.fft.irfft(spectrum, n=self.window)[..., -self.synthesis :] * self.heard
        overlap = self.synthesis // self.hop
        pieces = heard.unflatten(-1, (overlap, self.hop))  # (..., frames, overlap, hop)
        frames = pieces.shape[-3]
        total = sum(
            nn.functional.pad(pieces[..., part, :], (0, 0, part, overlap - 1 - part)) for part in range(overlap)
        )
        return total[..., overlap - 1 : overlap - 1 + frames, :].flatten(-2)
