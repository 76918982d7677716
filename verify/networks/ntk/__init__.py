"""The neural tangent kernel's trace."""
