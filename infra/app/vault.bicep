// The vault holds what no identity can replace: a Databricks token, a Git token, a mail server's password.
@description('Name of the vault.')
param name string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Log Analytics workspace that is told who reads and writes.')
param workspaceResourceId string

@description('Subnet of private endpoints; empty where the vault is reached over the internet.')
param endpointSubnetResourceId string

@description('Private DNS zone of vaults.')
param zoneResourceId string

var isPrivate = !empty(endpointSubnetResourceId)

module keyVault 'br/public:avm/res/key-vault/vault:0.14.0' = {
  // checkov:skip=CKV_AZURE_109: privateNetworking denies by default; without it the app has no address to allow, and Entra ID guards alone
  // checkov:skip=CKV_AZURE_189: privateNetworking switches public access off; without it Entra ID guards alone
  name: 'key-vault'
  params: {
    name: name
    location: location
    tags: tags
    sku: 'standard'
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    enableVaultForDeployment: false
    enableVaultForDiskEncryption: false
    enableVaultForTemplateDeployment: false
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: 'None'
    }
    diagnosticSettings: [
      {
        name: 'audit'
        workspaceResourceId: workspaceResourceId
        logCategoriesAndGroups: [
          {
            category: 'AuditEvent'
          }
        ]
        metricCategories: []
      }
    ]
    privateEndpoints: isPrivate ? [
      {
        service: 'vault'
        subnetResourceId: endpointSubnetResourceId
        privateDnsZoneGroup: {
          privateDnsZoneGroupConfigs: [
            {
              privateDnsZoneResourceId: zoneResourceId
            }
          ]
        }
      }
    ] : []
  }
}

output name string = keyVault.outputs.name
output uri string = keyVault.outputs.uri
