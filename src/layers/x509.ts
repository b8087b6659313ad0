import "./reflectMetadata.ts"

/* What stands for @peculiar/x509 where the programs are bundled: it cannot be loaded without the line above. */
export * from "@peculiar/x509"
