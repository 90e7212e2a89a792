// written shortly
