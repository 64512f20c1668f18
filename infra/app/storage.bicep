// Three accounts: the app's state, the audit trail's anchors, over which the app has no say, and the app's package,
// which whoever may write state cannot replace.
@description('Name of the account that holds the app\'s state.')
param stateAccountName string

@description('Name of the account that holds the audit anchors.')
param anchorAccountName string

@description('Name of the account that holds the app\'s package.')
param packageAccountName string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
@description('Redundancy of the accounts.')
param skuName string

@description('Container of the app\'s package.')
param packageContainerName string

@description('Container of the audit anchors.')
param anchorContainerName string

@description('Days that an anchor cannot be changed or removed.')
param anchorRetentionDays int

@description('Whether the anchors\' policy was locked.')
param anchorPolicyLocked bool

@description('Log Analytics workspace that is told who changes and deletes.')
param workspaceResourceId string

@description('Subnet of private endpoints; empty where the accounts are reached over the internet.')
param endpointSubnetResourceId string

@description('Private DNS zone of blobs.')
param blobZoneResourceId string

@description('Private DNS zone of queues.')
param queueZoneResourceId string

@description('Private DNS zone of tables.')
param tableZoneResourceId string

var isPrivate = !empty(endpointSubnetResourceId)
var publicNetworkAccess = isPrivate ? 'Disabled' : 'Enabled'
// Without private endpoints the app's addresses are not known beforehand: what guards then is Entra ID alone.
var networkAcls = {
  defaultAction: isPrivate ? 'Deny' : 'Allow'
  bypass: 'None'
}

module stateAccount 'br/public:avm/res/storage/storage-account:0.33.0' = {
  // checkov:skip=CKV_AZURE_35: privateNetworking denies by default; without it the app has no address to allow, and Entra ID guards alone
  // checkov:skip=CKV_AZURE_59: privateNetworking switches public access off; without it Entra ID guards alone
  // checkov:skip=CKV_AZURE_206: what must outlive a region is in Git, and state is made again from there; storageSkuName offers GRS
  // checkov:skip=CKV_AZURE_36: of Azure's services none but the app comes here, and it comes through the private endpoint
  name: 'state-account'
  params: {
    name: stateAccountName
    location: location
    tags: tags
    kind: 'StorageV2'
    skuName: skuName
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    requireInfrastructureEncryption: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: networkAcls
    blobServices: {
      deleteRetentionPolicyEnabled: true
      deleteRetentionPolicyDays: 14
      containerDeleteRetentionPolicyEnabled: true
      containerDeleteRetentionPolicyDays: 14
      containers: [
        {
          name: 'backup'
          publicAccess: 'None'
        }
      ]
      diagnosticSettings: [
        {
          name: 'deletions'
          workspaceResourceId: workspaceResourceId
          logCategoriesAndGroups: [
            {
              category: 'StorageDelete'
            }
          ]
          metricCategories: []
        }
      ]
    }
    queueServices: {}
    tableServices: {}
    // The app removes its own work. What it leaves behind all the same, when it is not run for months, goes here.
    managementPolicyRules: [
      {
        name: 'forgotten-work'
        enabled: true
        type: 'Lifecycle'
        definition: {
          filters: {
            blobTypes: [
              'blockBlob'
            ]
            prefixMatch: [
              'backup/staging/'
              'backup/batches/'
            ]
          }
          actions: {
            baseBlob: {
              delete: {
                daysAfterModificationGreaterThan: 180
              }
            }
          }
        }
      }
      {
        name: 'seldom-read'
        enabled: true
        type: 'Lifecycle'
        definition: {
          filters: {
            blobTypes: [
              'blockBlob'
            ]
            prefixMatch: [
              'backup/restores/'
            ]
          }
          actions: {
            baseBlob: {
              tierToCool: {
                daysAfterModificationGreaterThan: 30
              }
            }
          }
        }
      }
    ]
    privateEndpoints: isPrivate ? [
      {
        service: 'blob'
        subnetResourceId: endpointSubnetResourceId
        privateDnsZoneGroup: {
          privateDnsZoneGroupConfigs: [
            {
              privateDnsZoneResourceId: blobZoneResourceId
            }
          ]
        }
      }
      {
        service: 'queue'
        subnetResourceId: endpointSubnetResourceId
        privateDnsZoneGroup: {
          privateDnsZoneGroupConfigs: [
            {
              privateDnsZoneResourceId: queueZoneResourceId
            }
          ]
        }
      }
      {
        service: 'table'
        subnetResourceId: endpointSubnetResourceId
        privateDnsZoneGroup: {
          privateDnsZoneGroupConfigs: [
            {
              privateDnsZoneResourceId: tableZoneResourceId
            }
          ]
        }
      }
    ] : []
  }
}

module anchorAccount 'br/public:avm/res/storage/storage-account:0.33.0' = {
  // checkov:skip=CKV_AZURE_35: privateNetworking denies by default; without it the app has no address to allow, and Entra ID guards alone
  // checkov:skip=CKV_AZURE_59: privateNetworking switches public access off; without it Entra ID guards alone
  // checkov:skip=CKV_AZURE_206: the trail itself is in the state account and its heads in Git, too; storageSkuName offers GRS
  // checkov:skip=CKV_AZURE_36: of Azure's services none but the app comes here, and it comes through the private endpoint
  name: 'anchor-account'
  params: {
    name: anchorAccountName
    location: location
    tags: tags
    kind: 'StorageV2'
    skuName: skuName
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    requireInfrastructureEncryption: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: networkAcls
    blobServices: {
      deleteRetentionPolicyEnabled: true
      deleteRetentionPolicyDays: 90
      containerDeleteRetentionPolicyEnabled: true
      containerDeleteRetentionPolicyDays: 90
      containers: [
        {
          name: anchorContainerName
          publicAccess: 'None'
          // Made unlocked, so that a first set-up can still be removed: docs/azure.md says how to lock it for good.
          immutabilityPolicy: anchorPolicyLocked ? null : {
            immutabilityPeriodSinceCreationInDays: anchorRetentionDays
            allowProtectedAppendWrites: false
          }
        }
      ]
      diagnosticSettings: [
        {
          name: 'changes'
          workspaceResourceId: workspaceResourceId
          logCategoriesAndGroups: [
            {
              category: 'StorageWrite'
            }
            {
              category: 'StorageDelete'
            }
          ]
          metricCategories: []
        }
      ]
    }
    privateEndpoints: isPrivate ? [
      {
        service: 'blob'
        subnetResourceId: endpointSubnetResourceId
        privateDnsZoneGroup: {
          privateDnsZoneGroupConfigs: [
            {
              privateDnsZoneResourceId: blobZoneResourceId
            }
          ]
        }
      }
    ] : []
  }
}

module packageAccount 'br/public:avm/res/storage/storage-account:0.33.0' = {
  // checkov:skip=CKV_AZURE_35: privateNetworking denies by default; without it the app has no address to allow, and Entra ID guards alone
  // checkov:skip=CKV_AZURE_59: privateNetworking switches public access off; without it Entra ID guards alone
  // checkov:skip=CKV_AZURE_206: the pipeline makes the package again, byte by byte; storageSkuName offers GRS
  // checkov:skip=CKV_AZURE_36: of Azure's services none but the app comes here, and it comes through the private endpoint
  name: 'package-account'
  params: {
    name: packageAccountName
    location: location
    tags: tags
    kind: 'StorageV2'
    skuName: skuName
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    requireInfrastructureEncryption: true
    publicNetworkAccess: publicNetworkAccess
    networkAcls: networkAcls
    blobServices: {
      deleteRetentionPolicyEnabled: true
      deleteRetentionPolicyDays: 30
      containerDeleteRetentionPolicyEnabled: true
      containerDeleteRetentionPolicyDays: 30
      containers: [
        {
          name: packageContainerName
          publicAccess: 'None'
        }
      ]
      diagnosticSettings: [
        {
          name: 'changes'
          workspaceResourceId: workspaceResourceId
          logCategoriesAndGroups: [
            {
              category: 'StorageWrite'
            }
            {
              category: 'StorageDelete'
            }
          ]
          metricCategories: []
        }
      ]
    }
    privateEndpoints: isPrivate ? [
      {
        service: 'blob'
        subnetResourceId: endpointSubnetResourceId
        privateDnsZoneGroup: {
          privateDnsZoneGroupConfigs: [
            {
              privateDnsZoneResourceId: blobZoneResourceId
            }
          ]
        }
      }
    ] : []
  }
}

output stateAccountName string = stateAccount.outputs.name
output anchorAccountName string = anchorAccount.outputs.name
output packageAccountName string = packageAccount.outputs.name
output blobEndpoint string = stateAccount.outputs.primaryBlobEndpoint
output queueEndpoint string = stateAccount.outputs.serviceEndpoints.queue
output tableEndpoint string = stateAccount.outputs.serviceEndpoints.table
output anchorEndpoint string = anchorAccount.outputs.primaryBlobEndpoint
output packageEndpoint string = packageAccount.outputs.primaryBlobEndpoint
