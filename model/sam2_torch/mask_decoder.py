"""The mask decoder: prompt tokens and frame features become masks, predicted IoU and an object score."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_torch.attention import Attention
from sam2_torch.blocks import MLP, LayerNorm2d
from sam2_torch.config import SAM2Config

STABILITY_MARGIN, STABILITY_LIMIT = 0.05, 0.98


@dataclass(frozen=True, slots=True)
class Proposals:
    """What the decoder proposes for B objects; M is 3 when ambiguity is wanted, else 1.

    Attributes
    ----------
    logits : (B, M, 4h, 4w)
    predicted_iou : (B, M), 0..1
    tokens : (B, M or 1, C), the output token of each mask
    object_score : (B,), logit; at or below 0 the object is absent
    """

    logits: Tensor
    predicted_iou: Tensor
    tokens: Tensor
    object_score: Tensor


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves and to the image, the image to the tokens (TwoWayAttentionBlock of SAM)."""

    def __init__(self, dim: int, hidden: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, 8)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, 8, inner_dim=dim // 2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP((dim, hidden, dim))
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, 8, inner_dim=dim // 2)

    def forward(self, tokens: Tensor, image: Tensor, token_pos: Tensor, image_pos: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, C), image (B, hw, C) and their positions -> both, updated."""
        if self.first:  # no positions and no residual in the first layer
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + token_pos
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        k = image + image_pos
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pos, k, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(k, tokens + token_pos, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Two two-way blocks and a last look of the tokens at the image."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, hidden, first=i == 0) for i in range(2))
        self.final_attn_token_to_image = Attention(dim, 8, inner_dim=dim // 2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, image_bchw: Tensor, image_pos_bchw: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Image (B, C, h, w), positions (1, C, h, w), tokens (B, T, C) -> tokens (B, T, C), image (B, hw, C)."""
        image = image_bchw.flatten(2).transpose(1, 2)  # (B, C, h, w) -> (B, hw, C)
        image_pos = image_pos_bchw.flatten(2).transpose(1, 2)
        token_pos = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pos, image_pos)
        attended = self.final_attn_token_to_image(tokens + token_pos, image + image_pos, image)
        return self.norm_final_attn(tokens + attended), image


class MaskDecoder(nn.Module):
    """Four mask tokens: the first for an unambiguous prompt, the other three for an ambiguous one (MaskDecoder)."""

    num_masks = 4

    def __init__(self, config: SAM2Config) -> None:
        super().__init__()
        dim = config.width
        self.transformer = TwoWayTransformer(dim, config.decoder_hidden)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(self.num_masks, dim)
        self.obj_score_token = nn.Embedding(1, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, stride=2),
            nn.GELU(),
        )
        self.conv_s0 = nn.Conv2d(dim, dim // 8, 1)
        self.conv_s1 = nn.Conv2d(dim, dim // 4, 1)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP((dim, dim, dim, dim // 8)) for _ in range(self.num_masks))
        self.iou_prediction_head = MLP((dim, 256, 256, self.num_masks))
        self.pred_obj_score_head = MLP((dim, dim, dim, 1))

    def forward(
        self, image: Tensor, image_pos: Tensor, sparse: Tensor, dense: Tensor, fine: tuple[Tensor, Tensor]
    ) -> Proposals:
        """All four masks.

        Parameters
        ----------
        image : (B or 1, C, h, w)
            Frame features at stride 16, conditioned on memory.
        image_pos : (1, C, h, w)
        sparse : (B, P, C)
        dense : (B or 1, C, h, w)
        fine
            Features at stride 4 (B or 1, C / 8, 4h, 4w) and stride 8 (B or 1, C / 4, 2h, 2w).
        """
        outputs = torch.cat([self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([outputs.expand(len(sparse), -1, -1), sparse], dim=1)
        source = (image + dense).expand(len(sparse), -1, -1, -1)
        tokens, image_tokens = self.transformer(source, image_pos, tokens)
        source = image_tokens.transpose(1, 2).unflatten(2, source.shape[-2:])  # (B, hw, C) -> (B, C, h, w)
        mask_tokens = tokens[:, 2 : 2 + self.num_masks]
        return Proposals(
            logits=self._masks(source, mask_tokens, fine),
            predicted_iou=self.iou_prediction_head(tokens[:, 1]).sigmoid(),
            tokens=mask_tokens,
            object_score=self.pred_obj_score_head(tokens[:, 0])[:, 0],
        )

    def _masks(self, source: Tensor, mask_tokens: Tensor, fine: tuple[Tensor, Tensor]) -> Tensor:
        stride4, stride8 = fine
        up1, norm, gelu1, up2, gelu2 = self.output_upscaling
        upscaled = gelu1(norm(up1(source) + stride8))
        upscaled = gelu2(up2(upscaled) + stride4)
        weights = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1)
        return torch.einsum("bmc,bchw->bmhw", weights, upscaled)


def ambiguous(proposals: Proposals) -> Proposals:
    """The three masks for an ambiguous prompt."""
    p = proposals
    return Proposals(p.logits[:, 1:], p.predicted_iou[:, 1:], p.tokens[:, 1:], p.object_score)


def single(proposals: Proposals, *, stable: bool) -> Proposals:
    """The mask for an unambiguous prompt; if `stable`, the best of the other three where it is unstable.

    A mask is stable if its area changes little between thresholds -0.05 and 0.05. The pointer's token stays the
    first one in either case, as in the original.
    """
    p = proposals
    if not stable:
        return Proposals(p.logits[:, :1], p.predicted_iou[:, :1], p.tokens[:, :1], p.object_score)
    best = p.predicted_iou[:, 1:].argmax(1) + 1
    first = p.logits[:, 0].flatten(1)
    inner = (first > STABILITY_MARGIN).sum(1).float()
    outer = (first > -STABILITY_MARGIN).sum(1).float()
    is_stable = torch.where(outer > 0, inner / outer.clamp(min=1), 1.0) >= STABILITY_LIMIT
    chosen = torch.where(is_stable, torch.zeros_like(best), best)
    rows = torch.arange(len(chosen), device=chosen.device)
    return Proposals(
        p.logits[rows, chosen][:, None], p.predicted_iou[rows, chosen][:, None], p.tokens[:, :1], p.object_score
    )


def resize_logits(logits_bmhw: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize without antialiasing, as masks are brought to another size everywhere but for mask prompts."""
    return F.interpolate(logits_bmhw, size=size, mode="bilinear", align_corners=False)
