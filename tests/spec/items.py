"""The items of the specification, each in a line, with its kind.

Equations are lines of a derivation; algorithms run and give something; claims can be measured or
refuted; notation fixes shapes and names; errata are the documents' own slips.
"""

ITEMS = {
    # Document 000: σ on every layer, half squared error, the recursion on δ.
    "S0.1": ("equation", "the loss is half the squared distance of the output from the target"),
    "S0.2": ("equation", "the output is σ of the last affine map, for any differentiable σ"),
    "S0.3": ("equation", "the error at the last z is (output − target) ⊙ slope of σ there"),
    "S0.4": ("equation", "the gradient of the last W is that error times the layer's input, transposed"),
    "S0.5": ("equation", "the gradient of the last b is that error itself"),
    "S0.6": ("claim", "the error at z is shared by both gradients, so a sweep computes it once a layer"),
    "S0.7": ("equation", "the error at a layer is the output error times the Jacobians between them"),
    "S0.8": ("equation", "at every layer dW = δ aᵀ and db = δ, with a the input of that layer"),
    "S0.9": ("algorithm", "induction: a true error above gives a true error one layer below"),
    "S0.10": ("equation", "the next z in terms of this z: W σ(z) + b"),
    "S0.11": ("equation", "the Jacobian of that step is Wᵀ with its rows scaled by the slope of σ"),
    "S0.12": ("equation", "the recursion: δ below = Wᵀ δ above ⊙ slope of σ"),
    "S0.13": ("algorithm", "full-batch descent that stops once every change is below a threshold"),
    "S0.14": ("claim", "invariants: rank by batch size, zero at the target, balance of each layer"),
    # Document 001: ReLU in matrices, indices from 0 to M.
    "S1.1": ("equation", "forward: z_0 from the datum, then x = relu(z), z = b + W x; no σ at the end"),
    "S1.2": ("algorithm", "the sweep starts from the loss's gradient at z_M, whatever the loss"),
    "S1.3": ("equation", "db = dz for the layers M … 1"),
    "S1.4": ("equation", "dW = dz xᵀ for the layers M … 1"),
    "S1.5": ("equation", "dz below = gate(z > 0) ⊙ Wᵀ dz above"),
    "S1.6": ("equation", "the first layer: db = dz and dW = dz times the datum, transposed"),
    "S1.7": ("claim", "the gate is strict: no gradient passes at exactly z = 0"),
    "S1.8": ("claim", "the gradient of a batch is the sum over its samples"),
    "S1.9": ("claim", "the first layer is the general one, once the datum is called x_0"),
    "S1.10": (
        "claim",
        "products dominate, with + and × alone; the gradient costs (3d − 1)/d times the forward pass",
    ),
    "S1.11": ("claim", "what is stored grows with depth, and recomputing lowers it"),
    "S1.12": ("claim", "invariants: balance across a gate and across a layer; dead units get nothing"),
    # Document 002: components, K layers, the bias as a neuron.
    "S2.1": ("notation", "superscripts count layers, subscripts components"),
    "S2.2": ("notation", "layer k's matrix maps n_{k−1} numbers to n_k; y^0 is the input"),
    "S2.3": ("notation", "activations act on each component alone"),
    "S2.4": ("equation", "forward, by component and nested"),
    "S2.5": ("equation", "the rest of the network as a function g^k of a layer's input and weights"),
    "S2.6": ("equation", "the derivative of g^k by one weight"),
    "S2.7": ("equation", "the derivative of g^k by one component of the layer's input"),
    "S2.8": ("claim", "the recursion is seeded by the loss alone; no layer K + 1 exists"),
    "S2.9": ("claim", "only the error travels between layers"),
    "S2.10": ("equation", "the bias as a column of W, fed by a neuron that is always 1"),
    "S2.11": ("algorithm", "gradient descent on weights and biases together"),
    # Document 003: a 3-4-2 network, ReLU, softmax and cross-entropy, one sample.
    "S3.1": ("equation", "the chain rule on sums, products, maxima and one neuron"),
    "S3.2": ("notation", "a Jacobian has a row per output; of an elementwise function it is diagonal"),
    "S3.3": ("notation", "sizes, shapes and the meaning of each index of the example network"),
    "S3.4": ("equation", "forward pass of the example network, by component"),
    "S3.5": ("notation", "the input layer computes nothing and the output layer has no activation"),
    "S3.6": ("equation", "softmax"),
    "S3.7": ("equation", "cross-entropy of the label"),
    "S3.8": ("equation", "cross-entropy's slope through the derivatives of softmax, term by term"),
    "S3.9": ("equation", "the same, collapsed: probabilities minus the one-hot label"),
    "S3.10": ("claim", "the collapsed form needs targets that sum to 1"),
    "S3.11": ("equation", "gradient of the second W, by component and as an outer product"),
    "S3.12": ("equation", "gradient at the hidden activations: Wᵀ δ"),
    "S3.13": ("equation", "through the gate, here z ≥ 0"),
    "S3.14": ("equation", "gradient of the first W, by component"),
    "S3.15": ("equation", "the same as an outer product, and the two biases"),
    "S3.16": ("equation", "the general recursion for L layers and K classes"),
    "S3.17": ("algorithm", "one step of gradient descent"),
    "S3.18": ("claim", "false as written: inputs times 1000 make gradients at least 1000 times as large"),
    "S3.19": ("claim", "literal softmax and its unfused gradient fail in float32; the fused form holds"),
    # Document 004: epochs, batches, levels; the update inside the sweep.
    "S4.1": ("algorithm", "per level from the top: both derivatives, then the update"),
    "S4.2": ("equation", "the chain of derivatives bracketed from the loss, a product of Jacobians"),
    "S4.3": ("claim", "updating inside the sweep equals updating after it, if derivatives come first"),
    "S4.4": ("equation", "a level's two derivatives are those of its own forward map"),
    "S4.5": ("claim", "the loop is a scan of plain SGD: order of batches matters, of levels does not"),
    # Across the documents.
    "X.1": ("claim", "by hand equals autodiff in float64, and float32 stays within its own rounding"),
    "X.2": ("notation", "conventions are options: gate at zero, sum or mean, layout, targets, ½"),
    "X.3": ("claim", "every mutant is killed, on its smallest network, by the law named for it"),
    "X.4": ("claim", "inputs reach the edges: ties at ±0, saturation, size 1, cotangents not of ones"),
    # Errata with executable content.
    "E0": ("errata", "000: a missing parenthesis, rows for columns, and factors in the wrong order"),
    "E1": ("errata", "001: two gates in one book, and the layout of its Jacobians"),
    "E2": ("errata", "002: one shared bias, index order, and a total derivative read as partial"),
    "E3": ("errata", "003: shapes, a lost sum, lost transposes and the gate at zero"),
    "E4": ("errata", "004: the bias left out of L = f(w x), and column gradients in numerator order"),
}

# Slips of type or wording: nothing runs, and this is how they are read.
READING_NOTES = {
    "E0 (d)": "the quotient of two δ's is the Jacobian of the next z by this one",
    "E0 (e)": "norms and superscripts came out flat: 12||aLy||22 is half the squared norm of aᴸ − y",
    "E1 (a)": "N and M are the same number of hidden layers",
    "E1 (b)": "Latin i numbers data and Greek ι layers, so x_i is the datum and x_ι a layer's input",
    "E2 (c)": "the neuron called x is the layer input y^{k−1}",
    "E2 (d)": "weights begin at W^1; there is no W^0",
    "E2 (e)": "an activation is a function of one number, carried over components",
    "E2 (g)": "下表 is 下标, subscript",
    "E4 (a)": "ω and w are one letter, and its superscript counts levels",
    "E4 (b)": "误差, error, means the loss L itself",
}
