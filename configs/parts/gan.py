"""A generative adversarial network for images of 32 x 32 pixels, and a hook that shows what it draws.

Dimension letters: B images of a batch, Z numbers of noise, W the narrowest layer's maps, H = W = 32 pixels.
"""

from typing import Any

import torch
from torch import Tensor, nn

from pegboard import HOOKS, MODELS, Batch, PeriodicHook, Runner


def generator(noise: int, width: int) -> nn.Sequential:
    """From noise (B, Z, 1, 1) to images (B, 3, 32, 32) from -1 to 1."""
    return nn.Sequential(
        nn.ConvTranspose2d(noise, 4 * width, 4, bias=False), nn.BatchNorm2d(4 * width), nn.ReLU(),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def discriminator(width: int) -> nn.Sequential:
    """From images (B, 3, 32, 32) to one logit each, (B, 1): above 0 for "from the data"."""
    return nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(4 * width), nn.LeakyReLU(0.2),
        nn.Conv2d(4 * width, 1, 4), nn.Flatten(),
    )  # fmt: skip


@MODELS.register
class DCGAN(nn.Module):
    """A generator that draws images, and a discriminator that tells them from those of the data.

    The loss of the run is the generator's; ``loss_discriminator`` is logged beside it.

    Args:
        noise: numbers that an image is drawn from.
        width: maps of the widest-ranging layer of each network; the others have two and four times as many.

    Shapes: images (B, 3, 32, 32) from -1 to 1 -> the discriminator's logits (B, 1).
    Source: Radford, Metz, Chintala 2015, arXiv:1511.06434: its layers, and weights drawn with a deviation of 0.02.
    """

    shown: Tensor

    def __init__(self, noise: int = 64, width: int = 32) -> None:
        super().__init__()
        self.noise = noise
        self.generator = generator(noise, width)
        self.discriminator = discriminator(width)
        self.register_buffer("shown", torch.randn(64, noise, 1, 1))  # the same are drawn from each time
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(images)
        return logits

    def training_step(self, batch: Batch, criterion: Any, optimizers: Any) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One step of the discriminator, then one of the generator."""
        real = batch.inputs
        fake = self.generator(torch.randn(len(real), self.noise, 1, 1, device=real.device))

        optimizers["discriminator"].zero_grad()
        on_real, on_fake = self.discriminator(real), self.discriminator(fake.detach())
        told_apart = criterion(on_real, torch.ones_like(on_real)) + criterion(on_fake, torch.zeros_like(on_fake))
        told_apart.backward()
        optimizers["discriminator"].step()

        optimizers["generator"].zero_grad()
        verdict = self.discriminator(fake)  # its gradients here are dropped by the next zero_grad
        fooled = criterion(verdict, torch.ones_like(verdict))
        fooled.backward()
        optimizers["generator"].step()
        return fooled, fake, {"loss_discriminator": told_apart}


@HOOKS.register
class DrawnSamples(PeriodicHook):
    """Show what the generator draws, from the same noise each time; drawn at the end of the run, too.

    Args:
        every: how often.
    """

    def __init__(self, every: str = "5 epochs") -> None:
        super().__init__(every)

    def after_train_epoch(self, run: Runner) -> None:
        if self.is_due(run):
            self.done(run)
            self._draw(run)

    def at_end(self, run: Runner) -> None:
        self._draw(run)  # of a run that was stopped

    def _draw(self, run: Runner) -> None:
        model: Any = run.model
        model.generator.eval()
        with torch.no_grad():
            images = model.generator(model.shown)  # (64, 3, 32, 32)
        model.generator.train()
        grid = images.unflatten(0, (8, 8)).permute(2, 0, 3, 1, 4).reshape(3, 256, 256)
        large = grid.repeat_interleave(2, 1).repeat_interleave(2, 2)
        run.show("drawn_samples", (large + 1) / 2, f"64 images of the generator, epoch {run.epoch_in_progress}")
