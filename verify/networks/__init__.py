"""The fast side: the quantities of `theory` on `torch.nn.Module`, by automatic differentiation."""
